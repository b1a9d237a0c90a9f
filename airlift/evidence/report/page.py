"""The report: one self-contained page about an enclave, for screen and paper; nothing is fetched (SPEC 15.6)."""

import base64
import hashlib
import json
from collections.abc import Iterable

from airlift.bundle.release import Release
from airlift.bundle.remarks import coverage, of_component
from airlift.evidence import controls
from airlift.evidence.controls import Judged
from airlift.evidence.facts import Attested, Facts, Signatory
from airlift.evidence.report import ledger_sections, origins, style, timeline
from airlift.evidence.report.markup import (
    NOTHING,
    Markup,
    digest,
    join,
    labelled,
    section,
    short,
    table,
    tag,
    text,
)
from airlift.ledger import details
from airlift.ledger.entries.imports import SHA256, SHA512, ImportCommit, ImportReject
from airlift.ledger.entry import Entry
from airlift.policy.demands import Quorum
from airlift.trust.statements.statement import STATING

SHOWN_EVENTS = 200
_SECTIONS = (
    ("active", "What is active"),
    ("attention", "What to know first"),
    ("lineage", "Lineage"),
    ("timeline", "Imports and activations"),
    ("people", "Who signed and who approved"),
    ("results", "Scans, evaluations, custody"),
    ("policy", "Policy in force"),
    ("controls", "Controls"),
    ("ledger", "Ledger"),
    ("verify", "How to verify this page"),
)


def format(found: Facts) -> bytes:  # noqa: A001 - each format of this room has one function of this name
    """Return the page; the same facts give the same bytes."""
    sheet = style.sheet(str(found.marking))
    allowed = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    title = f"airlift: enclave {found.enclave}"
    head = tag(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src '
            f"'sha256-{allowed}'\">"
        ),
        tag("title", text(title)),
        Markup(f"<style>{sheet}</style>"),
    )
    body = tag(
        "body",
        tag("a", text("Skip to the content"), href="#main", class_="skip"),
        _marking(found, "header"),
        _header(found),
        tag("main", *_content(found), id="main"),
        tag("footer", _marking(found, "footer")),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n".encode()


def _marking(found: Facts, place: str) -> Markup:
    level = found.marking.level.lower().replace(" ", "-")
    return tag("p", text(found.marking), class_=f"marking {level}", id=f"marking-{place}")


def _header(found: Facts) -> Markup:
    links = (tag("li", tag("a", text(title), href=f"#{name}")) for name, title in _SECTIONS)
    lead = (
        f"As the record stood at {found.generated}: {found.ledger.size} entries, all verified. "
        f"Made by airlift {found.version}."
    )
    return tag(
        "header",
        tag("h1", text(f"What enclave {found.enclave} runs, and how it came there")),
        tag("p", text(lead), class_="lead"),
        tag("nav", tag("ul", *links), aria_label="Sections"),
    )


def _content(found: Facts) -> Iterable[Markup]:
    judged = controls.judge(found)
    bodies = {
        "active": _active(found),
        "attention": _attention(found),
        "lineage": origins.draw(found),
        "timeline": _timeline(found),
        "people": _people(found),
        "results": _results(found),
        "policy": _policy(found),
        "controls": _controls(found, judged),
        "ledger": ledger_sections.ledger(found),
        "verify": ledger_sections.instructions(found),
    }
    return [section(name, title, bodies[name]) for name, title in _SECTIONS]


# -- what is active ------------------------------------------------------------------------------------------------


def _active(found: Facts) -> Markup:
    release = found.active_release
    if release is None:
        return tag("p", text("No release is active."), class_="none")
    since = found.switch()
    rows = [
        ("release", tag("strong", text(release.label))),
        ("digest (SHA-512)", digest(release.digest)),
        ("marking", text(release.marking)),
        (
            "active since",
            text(f"{since.time}, entry {since.index}, by {since.actor}" if since else "not told here"),
        ),
        ("notes", text(release.notes or "-")),
    ]
    components = table(
        f"Components of {release.label}",
        ["component", "kind", "version", "licence", "files", "digest (SHA-512)"],
        [
            [
                text(c.name),
                text(c.kind),
                text(c.version),
                text(c.license or "-"),
                text(len(c.files)),
                short(c.digest),
            ]
            for c in release.components
        ],
    )
    return join([labelled(rows), components, _remarks(release)])


def _remarks(release: Release) -> Markup:
    """Return what else is to be told of components: their own markings, waivers, what was left out."""
    told = [[text(c.name), text(remark)] for c in release.components for remark in of_component(c)]
    told += [[text(c.name), text(f"left out, {c.variant}")] for c in release.omitted]
    return table("What else is to be known of them", ["component", "remark"], told) if told else NOTHING


# -- what to know first --------------------------------------------------------------------------------------------


def _attention(found: Facts) -> Markup:
    warnings = list(_warnings(found))
    if not warnings:
        return tag(
            "ul",
            tag("li", text("Nothing: every check that this page makes came out well.")),
            class_="warnings fine",
        )
    return tag("ul", *(tag("li", text(warning)) for warning in warnings), class_="warnings")


def _warnings(found: Facts) -> Iterable[str]:
    if found.active_release is None:
        yield "No release is active."
    yield from _about_components(found)
    for kind, _quorum in found.policy.attestations:
        evidence = controls.evidence(found, f"quorum {kind}")
        if not evidence.found:
            yield f"The active release has only {evidence.text}."
    unknown = sum(not any(s.verified for s in item.signers) for item in found.attestations)
    if unknown:
        yield f"Attestations that no key known here signed, and that count for nothing: {unknown}."
    against = sum(_speaks_against(item) for item in found.attestations)
    if against:
        yield f"Attestations by known keys that speak against what they are about: {against}."
    if not found.ledger.witnesses:
        claimed = f" ({', '.join(found.ledger.claimed)}: not verified)" if found.ledger.claimed else ""
        yield (
            f"No witness signed the newest checkpoint by the keys given{claimed}; only a kept one shows a history "
            "signed with a stolen key."
        )
    if found.ledger.scheme != controls.CNSA:
        yield f"The ledger's key is {found.ledger.scheme}, which is not of CNSA 2.0's default."
    odd = ", ".join(str(entry.index) for entry in controls.without_sha512(found))
    if odd:
        yield f"Imports that verified files with SHA-256, which is not of CNSA 2.0: entries {odd}."
    if found.policy.digest != SHA512:
        yield "Policy verifies files with SHA-256 instead of SHA-512 from now on, which is not of CNSA 2.0."
    if found.omitted:
        yield f"{found.omitted} older entries are not told of here; the export of the ledger has all."


def _about_components(found: Facts) -> Iterable[str]:
    for component in found.active_release.components if found.active_release else ():
        for waived in component.accept:
            yield f"Component {component.name} runs with a waiver for {waived.what}: {waived.reason}"
        partly = coverage(component)
        if partly is not None:
            yield f"Component {component.name}: {partly}."


def _speaks_against(item: Attested) -> bool:
    return item.kind not in STATING and not item.passes and any(signer.verified for signer in item.signers)


# -- timeline ------------------------------------------------------------------------------------------------------


def _timeline(found: Facts) -> Markup:
    events = [entry for entry in found.entries if entry.type in timeline.LANES]
    if not events:
        return tag("p", text("Nothing was imported yet."), class_="none")
    picture = timeline.draw(events, found.releases)
    drawn = tag("div", picture, class_="scroll", tabindex="0", role="region", aria_label="Timeline, drawn")
    rows = []
    for entry in events[-SHOWN_EVENTS:]:
        what, about = timeline.LANES[entry.type], _about(found, entry)
        rows.append([text(entry.index), text(entry.time), text(what), text(about), text(entry.bundle or "-"),
                     text(_verified_with(entry)), text(entry.actor)])  # fmt: skip
    headers = ["entry", "time", "what", "release or reason", "bundle", "files verified with", "by"]
    return join(
        [drawn, table("In the order of the ledger; times are what the enclave's clock said", headers, rows)]
    )


def _about(found: Facts, entry: Entry) -> str:
    """Return which release an event is about, or why an import was rejected."""
    release = found.releases.get(entry.release or "")
    if release is not None:
        return release.label
    return details.read(entry, ImportReject).code if entry.type == ImportReject.TYPE else "-"


def _verified_with(entry: Entry) -> str:
    """Return which digest an import verified the files with that it rebuilt, as its entry says."""
    if entry.type != ImportCommit.TYPE:
        return "-"
    names = {SHA512: "SHA-512", SHA256: "SHA-256", None: "nothing rebuilt"}
    return names[details.read(entry, ImportCommit).file_digest]


# -- people and results --------------------------------------------------------------------------------------------


def _people(found: Facts) -> Markup:
    rows = []
    for sha512 in dict.fromkeys(e.release for e in found.imports() if e.release):
        for role, verb in (("targets", "released"), ("bundler", "bundled")):
            rows += [
                [text(holder), text(verb), text(_label(found, sha512)), short(key)]
                for key, holder in controls.signers(found, sha512, role)
            ]
    approvals = [
        [
            text(signer.holder or "unknown"),
            text(_approval(found, item, signer)),
            text(_label(found, item.subject)),
            short(signer.key_id),
        ]
        for item in found.attestations
        if item.kind == "approval"
        for signer in item.signers
    ]
    headers = ["holder", "what", "release", "key id"]
    return join(
        [
            table("Who signed releases and bundles", headers, rows, "Nothing was imported yet."),
            table("Who approved", headers, approvals, "Nobody approved anything."),
        ]
    )


def _approval(found: Facts, item: Attested, signer: Signatory) -> str:
    """Return what an approval says, and whether it still does: the last word counts."""
    if not signer.verified:
        return "says approved; unknown key" if item.passes else "says refused; unknown key"
    last = found.votes(item.subject, item.kind)[signer.key_id]
    return ("approved" if item.passes else "refused") + (
        "" if last == item.passes else ", until a later word"
    )


def _label(found: Facts, sha512: str) -> str:
    release = found.releases.get(sha512)
    bundle = found.bundles.get(sha512)
    return release.label if release else f"bundle {bundle.id}" if bundle else sha512[:16]


def _results(found: Facts) -> Markup:
    rows = []
    for item in found.attestations:
        if item.kind in {"approval", "provenance"}:
            continue
        by = ", ".join(s.holder if s.verified else "an unknown key" for s in item.signers)
        verdict = (
            tag("span", text("passes"), class_="yes")
            if item.passes
            else tag("span", text("does not pass"), class_="no")
        )
        stated = json.dumps({k: v for k, v in item.predicate.items() if k != "verdict"}, ensure_ascii=False)
        rows.append([text(item.kind), text(_label(found, item.subject)), verdict, text(by), text(stated[:400]),
                     text(item.entry)])  # fmt: skip
    headers = ["kind", "about", "verdict", "signed by", "what it states", "entry"]
    return table(
        "What was attested, beside approvals", headers, rows, "No scan, evaluation or hand-over is recorded."
    )


# -- policy and controls -------------------------------------------------------------------------------------------


def _policy(found: Facts) -> Markup:
    policy = found.policy
    asked = "; ".join(f"{kind}: {_asked(quorum)}" for kind, quorum in policy.attestations)
    apart = "; ".join(f"{first} and {second}" for first, second in policy.bars)
    needs = "; ".join(f"{rule.kind} needs {rule.needs} {rule.version}" for rule in policy.requires)
    waivers = "; ".join(f"{item.what} for {item.component or 'every component'}" for item in policy.waivers)
    floors = "; ".join(f"{name} >= {version}" for name, version in policy.floors)
    return labelled(
        [
            ("digest (SHA-512)", digest(found.policy_digest)),
            ("ceiling", text(policy.ceiling)),
            ("asks for", text(asked or "no attestations")),
            ("keeps in different hands", text(apart or "nothing")),
            ("requires", text(needs or "nothing beside the releases' own requirements")),
            ("floors", text(floors or "none")),
            ("waivers allowed", text(waivers or "none")),
            ("files are verified with", text("SHA-512" if policy.digest == SHA512 else "SHA-256")),
        ]
    )


def _asked(quorum: Quorum) -> str:
    days = quorum.expires_after_days
    return f"{quorum.threshold} of {', '.join(quorum.keys)}" + (
        f", not older than {days} days" if days else ""
    )


def _controls(found: Facts, judged: tuple[Judged, ...]) -> Markup:
    rows = []
    for item in judged:
        state = (
            tag("span", text("evidence there"), class_="yes")
            if item.satisfied
            else tag("span", text("evidence missing"), class_="no")
        )
        told = join(tag("div", text(f"{'+' if e.found else '-'} {e.text}")) for e in item.evidence)
        rows.append([text(item.id.upper()), text(item.title), state, told, text(item.claim)])
    headers = ["control", "title", "state", "evidence in the record", "what airlift does"]
    catalog = found.controls.get("catalog", "")
    caption = f"{catalog}: whether the evidence is there. An assessor decides whether it suffices."
    return table(caption, headers, rows, "No controls were mapped.")
