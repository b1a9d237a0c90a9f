"""Freezes bundles and a ledger of the format in force, into a new folder ``frozen/format-N``.

Run it from the top folder: ``python -m tests.compat.freeze tests/compat/frozen/format-N``.

What it writes is committed once and never written again: later versions must go on importing the bundles and reading
the ledger (test_frozen.py). It therefore refuses a folder that exists. Every key is made here and thrown away. The
model is the first layer of the example stack's, so that all of it stays small.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from airlift.bundle.media_sizes import Medium
from airlift.cli.frame.output import to_data
from airlift.errors import AirliftError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave, Operator, open_enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.init import NewEnclave, init_enclave, root_fingerprint
from airlift.high.enclave.status import enclave_status
from airlift.high.governance.approve import approve
from airlift.high.governance.record_attestations import record_attestations as attest_high
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.record.ledger_copies import export_ledger
from airlift.high.record.receipt import issue_receipt
from airlift.high.record.witness import countersign
from airlift.low.authority.init import Authorities, init
from airlift.low.authority.members import NamedRole
from airlift.low.authority.rotate import Rotation, rotate
from airlift.low.bundle.job import BundleRequest, Destination
from airlift.low.bundle.make_bundle import make_bundle
from airlift.low.bundle.renew import renew
from airlift.low.depot.depot import Depot, open_depot
from airlift.low.release.attest import Claim
from airlift.low.release.attest import attest as attest_low
from airlift.low.release.make_release import make_release
from airlift.trust.keys.file import FileSigner, generate
from airlift.trust.statements import predicates, statement
from tests.cli.transcript import inside
from tests.support import vendor
from tests.support.enclaves import flip
from tests.support.merges import merge
from tests.support.weights import component, safetensors

STACK = Path(__file__).parents[2] / "examples" / "stack"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ENCLAVE = "alpha"
LAYER = ("h.0.ln", "h.0.proj", "h.0.qkv", "base_model.model.h.0.proj", "base_model.model.h.0.qkv")
MEDIUM = Medium(volume_bytes=1_410_000, file_bytes=96 << 10)
CODECS = {"raw", "equal", "zstd", "planes", "ulp", "lowrank", "adapter", "narrow", "convert"}
SCHEMES = {
    **dict.fromkeys(("ada", "cy", "bundler-old", "ledger", "issm", "auditor"), "ml-dsa-87"),
    **dict.fromkeys(("bo", "di", "bundler-new", "scanner", "owner"), "ecdsa-p384"),
}
"""Who holds keys here, and of which scheme: both of them in every role that several people share."""

POLICY = """\
airlift: 1
enclave: alpha
marking: {levels: [UNCLASSIFIED, CUI, SECRET], ceiling: {level: CUI, caveats: []}}
attestations:
  scan: {threshold: 1, keys: [scanner.pub]}
  approval: {threshold: 2, keys: [issm.pub, owner.pub]}
requires:
  - {kind: model, needs: guard, version: ">=2.0"}
floors: {guard: "2.0"}
keep: 1
"""
QUESTIONS = (
    ("show", "assistant@2"),
    ("trace", "base@1.0.post1"),
    ("trace", "adapter-docs"),
    ("trace", "alpha-2"),
    ("at", "2026-11-29T23:59:59Z"),
    ("during", "guard@2.0"),
    ("where", "bundler-old"),
    ("where", "issm"),
    ("history",),
    ("history", "--component", "base", "--limit", "5"),
    ("verify",),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One import of a bundle: what came of it, and what is active afterwards (``name@version``)."""

    bundle: str
    activate: bool
    minutes: int
    outcome: str
    result: Mapping[str, Any]
    active: str | None


class Freezer:
    """A low side and a high side in a scratch folder, and the folder that is written."""

    def __init__(self, scratch: Path, output: Path) -> None:
        self.scratch, self.output = scratch, output
        self.signers = {name: generate(scheme) for name, scheme in SCHEMES.items()}
        self.minutes = 0
        self.bundles: dict[str, list[Path]] = {}
        self.codecs: set[str] = set()
        self.keys = scratch / "keys"
        self.keys.mkdir()
        for name, signer in self.signers.items():
            (self.keys / f"{name}.key").write_bytes(signer.private_pem(None))
            (self.keys / f"{name}.pub").write_bytes(signer.public.pem())
        (self.keys / "vendor.pub").write_bytes(vendor.public())

    def key(self, *names: str) -> list[FileSigner]:
        """Return the private keys of these people."""
        return [self.signers[name] for name in names]

    def now(self) -> datetime:
        """Return the time of the next command: a minute later than the last."""
        self.minutes += 1
        return NOW + timedelta(minutes=self.minutes)

    # -- the low side ----------------------------------------------------------------------------------------------

    @property
    def depot(self) -> Depot:
        """The depot."""
        return open_depot(self.scratch / "depot")

    def init(self) -> None:
        """Make the depot: two roots of two, two releasers of two."""
        init(
            self.scratch / "depot",
            Authorities(
                NamedRole([self.keys / "ada.key", self.keys / "bo.key"], 2),
                NamedRole([self.keys / "cy.key", self.keys / "di.key"], 2),
                self.keys / "bundler-old.pub",
            ),
            now=self.now(),
        )

    def publish(self, version: str, components: list[dict[str, Any]], approved: bool = True) -> None:
        """Release the components, and attest of it what policy asks for."""
        document = {
            "airlift": 1,
            "release": "assistant",
            "version": version,
            "marking": {"level": "CUI"},
            "notes": f"Frozen release {version}.",
            "components": components,
            "requires": [{"component": "base", "needs": "guard", "version": ">=2.0"}],
        }
        path = self.scratch / "sources" / f"release-{version}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        make_release(self.depot, path, signers=self.key("cy", "di"), now=self.now())
        claim = self.scratch / "claim.json"
        claim.write_text(json.dumps({"verdict": "pass", "tool": "frozen", "score": 0.5}))
        said = [("scan", "scanner"), *([("approval", "issm"), ("approval", "owner")] if approved else [])]
        for kind, name in said:
            said_so = Claim(kind, claim)
            attest_low(self.depot, f"assistant@{version}", said_so, signer=self.signers[name], now=self.now())

    def bundle(self, name: str, version: str, from_: str, for_: str | None = None) -> None:
        """Pack a release into the output."""
        destination = Destination(self.output / "bundles" / name, for_, MEDIUM)
        request = BundleRequest(f"assistant@{version}", destination, from_)
        made = make_bundle(self.depot, request, signer=self.signers["bundler-old"], now=self.now())
        self.codecs |= set(made.codecs)
        self.bundles[name] = [Path(item.path) for item in made.volumes]

    def rotate(self) -> None:
        """Give the build machine another key."""
        rotate(
            self.depot, Rotation("bundler", [self.keys / "bundler-new.pub"], ["bundler-old"]),
            signers=self.key("ada", "bo", "cy", "di"), now=self.now(),
        )  # fmt: skip

    def renew(self, name: str, key: str, for_: str | None = None) -> None:
        """Write a renewal."""
        destination = Destination(self.output / "bundles" / name, for_)
        made = renew(self.depot, destination, signer=self.signers[key], now=self.now())
        self.bundles[name] = [Path(item.path) for item in made.volumes]

    # -- the high side ---------------------------------------------------------------------------------------------

    def operator(self, now: datetime) -> Operator:
        """Return who runs a command."""
        return Operator("frozen", self.signers["ledger"], now)

    def enrol(self, folder: Path, policy: Path | None = None) -> Enclave:
        """Pin the first root in a new enclave."""
        root = self.output / "root.json"
        new = NewEnclave(ENCLAVE, root, root_fingerprint(root), "ledger.key", policy)
        init_enclave(folder, new, operator=self.operator(self.now()))
        return open_enclave(folder)


# -- what is released ----------------------------------------------------------------------------------------------


def layer(source: Path, kept: tuple[str, ...] = LAYER, *, wide: bool = False) -> bytes:
    """Return the tensors of a safetensors file of the stack whose names start so; ``wide``: as F32."""
    data = source.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    found = {}
    for name, about in header.items():
        if name.startswith(kept):
            start, end = (8 + size + offset for offset in about["data_offsets"])
            body = data[start:end]
            if wide:
                body = b"".join(b"\0\0" + body[i : i + 2] for i in range(0, len(body), 2))
            found[name] = ("F32" if wide else about["dtype"], tuple(about["shape"]), body)
    return safetensors(found)


def sources(folder: Path) -> None:
    """Write the folders that releases gather."""
    for name in (
        "guard-2.0",
        "guard-2.1",
        "prompt-1",
        "prompt-2",
        "blocklist-1",
        "blocklist-2",
        "tokenizer-1",
    ):
        shutil.copytree(STACK / name, folder / name)
    for name in ("base-1.0", "base-1.0.1", "base-1.0-merged", "adapter-docs-1"):
        files = {path.name: path.read_bytes() for path in (STACK / name).iterdir()}
        weights = next(file for file in files if file.endswith(".safetensors"))
        component(folder / name, {**files, weights: layer(STACK / name / weights), "empty.txt": b""})
    component(
        folder / "merged-part",
        {"model.safetensors": layer(STACK / "base-1.0-merged" / "model.safetensors", ("h.0.qkv",))},
    )
    for number, name in (("1", "base-1.0"), ("2", "base-1.0.1")):
        wide = layer(STACK / name / "model.safetensors", ("h.0.proj",), wide=True)
        component(folder / f"wide-{number}", {"wide.safetensors": wide})
    toy = merge(rows=64, columns=64)
    square = ("BF16", (64, 64))
    for number, data in (("1", toy.base), ("2", toy.target)):
        component(folder / f"toy-{number}", {"toy.safetensors": safetensors({"m.weight": (*square, data)})})
    factors = {"m.lora_A.weight": ("F32", (3, 64), toy.a), "m.lora_B.weight": ("F32", (64, 3), toy.b)}
    component(folder / "toy-adapter", {"adapter_model.safetensors": safetensors(factors)})
    signed = {path.name: path.read_bytes() for path in (folder / "base-1.0").iterdir()}
    (folder / "base-1.0" / "model.sig").write_bytes(vendor.sign(signed))


def item(name: str, kind: str, version: str, path: str, **more: Any) -> dict[str, Any]:
    """Return a component of an authored manifest."""
    return {"name": name, "kind": kind, "version": version, "source": {"path": path}, **more}


def small(number: str) -> list[dict[str, Any]]:
    """Return the components beside model and guard."""
    return [
        item("blocklist", "blocklist", number, f"blocklist-{number}"),
        item("system-prompt", "prompt", number, f"prompt-{number}"),
        item("tokenizer", "tokenizer", "1", "tokenizer-1", license="Apache-2.0"),
        item("wide", "model", number, f"wide-{number}"),
        item("toy", "model", number, f"toy-{number}"),
    ]


def low_side(freezer: Freezer) -> None:
    """Four releases, and six bundles."""
    sources(freezer.scratch / "sources")
    freezer.init()
    shutil.copyfile(freezer.scratch / "depot" / "root.json", freezer.output / "root.json")
    signed = {"vendor_signature": {"path": "base-1.0/model.sig", "public_key": "../keys/vendor.pub"}}
    base = item("base", "model", "1.0", "base-1.0", license="Apache-2.0", **signed)
    guards = [item("guard", "guard", version, f"guard-{version}") for version in ("2.0", "2.1")]
    freezer.publish("1", [base, guards[0], *small("1")])
    freezer.bundle("1-full", "1", "none")
    freezer.publish("2", [item("base", "model", "1.0.1", "base-1.0.1"), guards[1], *small("1")])
    freezer.bundle("2-delta", "2", "assistant@1", ENCLAVE)
    first = {"component": "base", "version": "1.0"}
    part = item("base", "model", "1.0.part", "merged-part", parents=[{**first, "relation": "merged-from"}])
    freezer.publish("3", [part, guards[1], *small("1")])
    freezer.bundle("3-overtaken", "3", "assistant@1")
    merged = [
        item(
            "base", "model", "1.0.post1", "base-1.0-merged",
            parents=[
                {**first, "relation": "merged-from"},
                {"component": "adapter-docs", "relation": "merged-from"},
            ],
        ),
        item(
            "adapter-docs", "adapter", "1", "adapter-docs-1",
            parents=[{**first, "relation": "adapter-of"}],
        ),
        item("toy-adapter", "adapter", "1", "toy-adapter"),
    ]  # fmt: skip
    freezer.publish("4", [*merged, guards[1], *small("2")], approved=False)
    freezer.bundle("4-next", "4", "assistant@1")
    freezer.renew("5-other", "bundler-old", "bravo")
    freezer.rotate()
    freezer.renew("6-renewal", "bundler-new")
    if freezer.codecs != CODECS:
        raise SystemExit(f"coded with {sorted(freezer.codecs)} only")


# -- what comes of it ----------------------------------------------------------------------------------------------


def import_all(freezer: Freezer) -> list[Step]:
    """Import every bundle into a fresh enclave, and return the outcome of each step."""
    place = freezer.enrol(freezer.scratch / "fresh", freezer.output / "policy.yaml")
    wanted = (
        ("2-delta", True), ("1-full", True), ("2-delta", True), ("4-next", True), ("4-next", False),
        ("3-overtaken", True), ("3-overtaken", False), ("5-other", False), ("6-renewal", False), ("1-full", True),
        ("4-next", False),
    )  # fmt: skip
    return [_step(freezer, place, name, activated) for name, activated in wanted]


def _step(freezer: Freezer, place: Enclave, name: str, activated: bool) -> Step:
    now = freezer.now()
    try:
        done = to_data(
            import_bundle(place, freezer.bundles[name], operator=freezer.operator(now), activate=activated)
        )
        outcome = "ok"
    except AirliftError as error:
        done, outcome = {}, error.code
    active = enclave_status(place, now).active
    return Step(name, activated, freezer.minutes, outcome, done, active)


def live(freezer: Freezer) -> Enclave:
    """Return the enclave whose ledger is kept: it went through every type of entry that a command writes."""
    place = freezer.enrol(freezer.scratch / "enclave")

    def take(name: str, *, expect: str = "", volumes: list[Path] | None = None, active: bool = True) -> None:
        acting = freezer.operator(freezer.now())
        try:
            import_bundle(place, volumes or freezer.bundles[name], operator=acting, activate=active)
            found = ""
        except AirliftError as error:
            found = error.code
        if found != expect:
            raise SystemExit(f"{name}: {found or 'ok'} instead of {expect or 'ok'}")

    change_policy(place, _lax(freezer), operator=freezer.operator(freezer.now()))
    take("1-full", expect="volumes-missing", volumes=freezer.bundles["1-full"][1:])
    take("1-full")
    take("2-delta", expect="digest-mismatch", volumes=_forged(freezer, "2-delta"))
    with _in_the_way(place):
        take("2-delta", expect="io-error")
    take("2-delta")
    roll_back(place, operator=freezer.operator(freezer.now()))
    activate(place, "assistant@2", operator=freezer.operator(freezer.now()))
    change_policy(place, freezer.output / "policy.yaml", operator=freezer.operator(freezer.now()))
    take("4-next", expect="quorum-unmet")
    take("4-next", active=False)
    for name in ("issm", "owner"):
        acting = freezer.operator(freezer.now())
        approve(place, "assistant@4", signer=freezer.signers[name], operator=acting, reason="frozen")
    attest_high(place, [_late(freezer, place)], operator=freezer.operator(freezer.now()))
    activate(place, "assistant@4", operator=freezer.operator(freezer.now()))
    _witness(freezer, place, "kept.note")
    take("3-overtaken", active=False)
    collect_garbage(place, operator=freezer.operator(freezer.now()))
    take("6-renewal", active=False)
    _witness(freezer, place, "newest.note", freezer.output / "kept.note")
    return place


def _lax(freezer: Freezer) -> Path:
    path = freezer.keys / "policy.yaml"
    path.write_text(POLICY.replace("threshold: 2", "threshold: 1").replace("keep: 1", "keep: 3"))
    return path


def _forged(freezer: Freezer, name: str) -> list[Path]:
    copies = [
        Path(shutil.copytree(path, freezer.scratch / "forged" / path.name)) for path in freezer.bundles[name]
    ]
    flip(max((copies[0] / "chunks").iterdir(), key=lambda path: path.stat().st_size), -1)
    return copies


class _in_the_way:  # noqa: N801 - reads as what it does
    """Lets an import fail between its prepare and commit entries: files stand where folders of content go."""

    def __init__(self, place: Enclave) -> None:
        self.paths = [
            path
            for path in (place.content.folder / f"{number:02x}" for number in range(256))
            if not path.exists()
        ]

    def __enter__(self) -> None:
        for path in self.paths:
            path.write_bytes(b"")

    def __exit__(self, *_: object) -> None:
        for path in self.paths:
            path.unlink()


def _late(freezer: Freezer, place: Enclave) -> Path:
    """Write an attestation about an imported release that came by another way."""
    digest = place.find_release("assistant@4", place.state()).digest
    said = statement.attest(
        [("assistant@4", digest)], predicates.own_type("custody"), {"verdict": "pass", "seal": "A-1042"},
        freezer.signers["scanner"],
    )  # fmt: skip
    path = freezer.output / "custody.json"
    path.write_bytes(said.data)
    return path


def _witness(freezer: Freezer, place: Enclave, name: str, *kept: Path) -> None:
    countersign(
        place, signer=freezer.signers["auditor"], name="auditor", kept=kept, output=freezer.output / name
    )


# -- what is kept --------------------------------------------------------------------------------------------------


def keep(freezer: Freezer, place: Enclave, steps: list[Step]) -> None:
    """Write the enclave without its content, what leaves it, and what is expected of all."""
    freezer.now()
    out = freezer.output
    (out / "enclave").mkdir()
    for name in ("ledger.db", "config.yaml", "history", "policies", "trust"):
        source = place.folder / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, out / "enclave" / name)
    acting = freezer.operator(freezer.now())
    issue_receipt(place, operator=acting, output=out / "receipt.json")
    export_ledger(place, out / "ledger.jsonl")
    for number, words in enumerate(QUESTIONS):
        asked = (*words, "--prove", "--enclave", str(place.folder), "--format", "json")
        said = inside("provenance", *asked, cwd=freezer.scratch).expect(0)
        (out / "answers").mkdir(exist_ok=True)
        (out / "answers" / f"{number:02}-{words[0]}.json").write_text(said.out)
    (out / "expected.json").write_text(
        json.dumps(expected(freezer, place, steps, acting.now), indent=1) + "\n"
    )


def expected(freezer: Freezer, place: Enclave, steps: list[Step], now: datetime) -> dict[str, Any]:
    """Return what must come out of all that was written."""
    with place.ledger() as log:
        entries = list(log.entries())
        root = log.root().hex()
    return {
        "enclave": ENCLAVE,
        "fingerprint": root_fingerprint(freezer.output / "root.json"),
        "now": NOW.isoformat(),
        "codecs": sorted(freezer.codecs),
        "steps": [asdict(step) for step in steps],
        "trees": dict(_trees(open_enclave(freezer.scratch / "fresh"))),
        "ledger": {
            "size": len(entries),
            "root": root,
            "types": [entry.type for entry in entries],
            "state": to_data({**asdict(place.state()), "open": [], "enrolment": {}}),
        },
        "links": {name: str((place.folder / name).readlink()) for name in ("active", "policy.yaml")},
        "status": {"now": now.isoformat(), "data": to_data(enclave_status(place, now))},
        "questions": [list(words) for words in QUESTIONS],
    }


def _trees(place: Enclave) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield for every installed release its label, and the SHA-512 of each file by path."""
    for found in map(place.load_release, place.state().installed):
        yield found.label, {f"{part.name}/{file.path}": file.sha512 for part, file in found.files()}


def freeze(output: Path) -> None:
    """Write a frozen world into the new folder ``output``."""
    if output.exists():
        raise SystemExit(f"{output} exists: what is frozen is never written again")
    output.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory(prefix="airlift-freeze-") as scratch:
            freezer = Freezer(Path(scratch), output)
            (freezer.scratch / "sources").mkdir()
            for name in ("ledger", "issm", "owner", "scanner", "auditor", "vendor"):
                shutil.copyfile(freezer.keys / f"{name}.pub", output / f"{name}.pub")
            (output / "policy.yaml").write_text(POLICY)
            low_side(freezer)
            steps = import_all(freezer)
            keep(freezer, live(freezer), steps)
    except BaseException:
        shutil.rmtree(output)
        raise


if __name__ == "__main__":
    freeze(Path(sys.argv[1]))
