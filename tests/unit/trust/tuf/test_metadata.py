"""Strict checks of raw metadata: everything that SPEC 4.2 does not allow is refused before tuf sees it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata

from airlift.bundle.revocations import Subject
from airlift.errors import MalformedError, ProvenBadError, SignatureError
from airlift.trust.tuf import metadata, root
from tests.support.trust_simulator import BUNDLE_NAME, RELEASE_NAME, Simulator, document, signer

SIMULATOR = Simulator().publish()
FILES = {name: SIMULATOR.files[SIMULATOR.file(name)] for name in SIMULATOR.signed}
Change = Callable[[dict[str, Any]], object]


def changed(role: str, change: Change) -> bytes:
    value = json.loads(FILES[role])
    change(value)
    return json.dumps(value).encode()


@pytest.mark.parametrize("role", FILES)
def test_good_metadata_is_what_tuf_reads(role: str) -> None:
    checked = metadata.check(role, FILES[role])
    assert Metadata[Any].from_bytes(FILES[role]).to_dict() == checked
    assert metadata.version_of(checked) == 1
    assert metadata.expiry_of(checked).year == 2027


def setter(*path: str | int, value: Any) -> Change:
    def apply(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        if value is ...:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    apply.__name__ = f"{'.'.join(map(str, path))}={'gone' if value is ... else str(value)[:20]}"
    return apply


def first_key(value: dict[str, Any]) -> dict[str, Any]:
    keys: dict[str, dict[str, Any]] = value["signed"]["keys"]
    return next(iter(keys.values()))


ROOT_ROLE = ("signed", "roles", "root")
DELEGATED = ("signed", "delegations", "roles", 0)
RELEASE = ("signed", "targets", RELEASE_NAME)
META = ("signed", "meta", "targets.json")

LIFTED = ("signed", metadata.LIFTED)
HOLE = {"kind": "component", "digest": "c" * 128, "serial": 1}
THEFT = {"kind": "key", "digest": "d" * 64, "serial": 2}

MALFORMED: list[tuple[str, Change]] = [
    ("root", setter("extra", value=1)),
    ("root", setter("signed", value=[])),
    ("root", setter("signatures", value={})),
    ("root", setter("signatures", value=...)),
    ("root", setter("signatures", 0, "extra", value=1)),
    ("root", setter("signatures", 0, "keyid", value="0" * 63)),
    ("root", setter("signatures", 0, "keyid", value="G" * 64)),
    ("root", setter("signed", "_type", value="targets")),
    ("root", setter("signed", "_type", value=1)),
    ("root", setter("signed", "spec_version", value="2.0.0")),
    ("root", setter("signed", "spec_version", value="1.1.0")),
    ("root", setter("signed", "version", value=0)),
    ("root", setter("signed", "version", value=True)),
    ("root", setter("signed", "version", value="1")),
    ("root", setter("signed", "version", value=metadata.MAX_VERSION + 1)),
    ("root", setter("signed", "expires", value="2027-05-01T00:00:00+00:00")),
    ("root", setter("signed", "expires", value="2027-13-01T00:00:00Z")),
    ("root", setter("signed", "expires", value="2027-5-01T000:00:00Z")),
    ("root", setter("signed", "expires", value=...)),
    ("root", setter("signed", "consistent_snapshot", value=False)),
    ("root", setter(*LIFTED, value={})),
    ("root", setter(*LIFTED, value=[])),
    ("root", setter(*LIFTED, value=[1])),
    ("root", setter(*LIFTED, value=[THEFT, HOLE])),
    ("root", setter(*LIFTED, value=[HOLE, HOLE])),
    ("root", setter(*LIFTED, value=[HOLE] * (metadata.MAX_LIFTED + 1))),
    ("root", setter(*LIFTED, value=[{**HOLE, "serial": 0}])),
    ("root", setter(*LIFTED, value=[{**HOLE, "kind": "person"}])),
    ("root", setter(*LIFTED, value=[{**HOLE, "digest": "c" * 64}])),
    ("root", setter(*LIFTED, value=[{**HOLE, "reason": "why"}])),
    ("targets", setter(*LIFTED, value=[HOLE])),
    ("root", setter("signed", "consistent_snapshot", value=...)),
    ("root", setter("signed", "x-other", value=1)),
    ("root", setter("signed", "roles", "mirrors", value={})),
    ("root", setter("signed", "roles", "timestamp", value=...)),
    ("root", setter(*ROOT_ROLE, "x-other", value=1)),
    ("root", setter(*ROOT_ROLE, "x-airlift-expiry-days", value=0)),
    ("root", setter(*ROOT_ROLE, "x-airlift-expiry-days", value=3651)),
    ("root", setter(*ROOT_ROLE, "keyids", value="x")),
    ("root", lambda value: first_key(value).pop("x-airlift-holder")),
    ("root", lambda value: first_key(value).update({"x-other": 1})),
    ("root", lambda value: first_key(value)["keyval"].update({"private": "x"})),
    ("root", lambda value: first_key(value).update({"keyval": []})),
    ("targets", setter("signed", "delegations", value=...)),
    ("targets", setter("signed", "delegations", "succinct_roles", value={})),
    ("targets", setter("signed", "delegations", "roles", value=[])),
    ("targets", lambda value: value["signed"]["delegations"]["roles"].append({})),
    ("targets", setter(*DELEGATED, "name", value="other")),
    ("targets", setter(*DELEGATED, "terminating", value=False)),
    ("targets", setter(*DELEGATED, "terminating", value=1)),
    ("targets", setter(*DELEGATED, "paths", value=["*"])),
    ("targets", setter(*DELEGATED, "paths", value=["bundle-*", "release-*"])),
    ("targets", setter(*DELEGATED, "paths", value=...)),
    ("targets", setter(*DELEGATED, "path_hash_prefixes", value=["00"])),
    (
        "targets",
        setter("signed", "targets", BUNDLE_NAME, value={"length": 1, "hashes": {"sha512": "0" * 128}}),
    ),
    ("targets", setter("signed", "targets", "release-ABC", value={})),
    ("targets", setter("signed", "targets", "../revocations", value={})),
    ("targets", setter("signed", "targets", value=[])),
    ("targets", setter("signed", "x-airlift-sequence", value=1)),
    ("targets", setter(*RELEASE, "length", value=-1)),
    ("targets", setter(*RELEASE, "length", value=(1 << 30) + 1)),
    ("targets", setter(*RELEASE, "hashes", value={})),
    ("targets", setter(*RELEASE, "hashes", "sha512", value="0" * 127)),
    ("targets", setter(*RELEASE, "hashes", "sha512", value="A" * 128)),
    ("targets", setter(*RELEASE, "hashes", "sha384", value="0")),
    ("targets", setter(*RELEASE, "custom", value=[])),
    ("targets", setter(*RELEASE, "other", value=1)),
    ("bundler", setter("signed", "delegations", value={})),
    ("bundler", setter("signed", "x-airlift-sequence", value=-1)),
    ("bundler", setter("signed", "x-airlift-sequence", value=...)),
    (
        "bundler",
        setter("signed", "targets", "revocations", value={"length": 1, "hashes": {"sha512": "0" * 128}}),
    ),
    ("snapshot", setter("signed", "meta", "other.json", value={})),
    ("snapshot", setter("signed", "meta", "bundler.json", value=...)),
    ("snapshot", setter("signed", "x-airlift-root-version", value=...)),
    ("snapshot", setter("signed", "x-airlift-root-version", value=0)),
    ("snapshot", setter(*META, "version", value=0)),
    ("snapshot", setter(*META, "length", value=...)),
    ("snapshot", setter(*META, "length", value=metadata.MAX_BYTES["targets"] + 1)),
    ("snapshot", setter(*META, "hashes", value=...)),
    ("snapshot", setter(*META, "hashes", value={"sha256": "0" * 64})),
    ("timestamp", setter("signed", "meta", "targets.json", value={})),
    (
        "timestamp",
        setter("signed", "meta", "snapshot.json", "length", value=metadata.MAX_BYTES["snapshot"] + 1),
    ),
]

UNTRUSTED: list[tuple[str, Change]] = [
    ("root", setter("signatures", 0, "sig", value="")),
    ("root", setter("signatures", 0, "sig", value="0" * 3)),
    ("root", setter("signatures", 0, "sig", value="AA")),
    ("root", setter("signatures", 0, "sig", value="00" * 4628)),
    ("root", lambda value: value["signatures"].append(value["signatures"][0])),
    ("root", setter("signatures", value=[{"keyid": f"{n:064x}", "sig": "00"} for n in range(65)])),
    ("root", setter(*ROOT_ROLE, "keyids", value=[])),
    ("root", setter(*ROOT_ROLE, "keyids", value=[1])),
    ("root", lambda value: value["signed"]["roles"]["root"]["keyids"].append("0" * 64)),
    (
        "root",
        lambda value: value["signed"]["roles"]["root"]["keyids"].extend(
            value["signed"]["roles"]["root"]["keyids"][:1]
        ),
    ),
    ("root", lambda value: value["signed"]["roles"]["root"]["keyids"].pop()),
    ("root", lambda value: first_key(value).update({"x-airlift-holder": ""})),
    ("root", lambda value: first_key(value).update({"x-airlift-holder": "a\u202eb"})),
    ("root", lambda value: first_key(value).update({"x-airlift-holder": "x" * 129})),
    ("root", lambda value: first_key(value)["keyval"].update({"public": "junk"})),
    (
        "root",
        lambda value: first_key(value)["keyval"].update({"public": signer("other").public.pem().decode()}),
    ),
    ("targets", setter(*DELEGATED, "threshold", value=2)),
    ("targets", setter("signed", "delegations", "keys", "0" * 64, value={})),
]


@pytest.mark.parametrize(("role", "change"), MALFORMED, ids=lambda value: getattr(value, "__name__", value))
def test_what_does_not_follow_the_format(role: str, change: Change) -> None:
    with pytest.raises(MalformedError):
        metadata.check(role, changed(role, change))


@pytest.mark.parametrize(("role", "change"), UNTRUSTED, ids=lambda value: getattr(value, "__name__", value))
def test_keys_and_signatures_that_cannot_be_trusted(role: str, change: Change) -> None:
    with pytest.raises(SignatureError):
        metadata.check(role, changed(role, change))


@pytest.mark.parametrize("role", FILES)
def test_each_role_is_only_itself(role: str) -> None:
    """THREATS: wrong role: metadata of one role is never taken for another's, targets and bundler included."""
    for other in FILES:
        if other != role:
            with pytest.raises(MalformedError):
                metadata.check(other, FILES[role])


@pytest.mark.parametrize("role", FILES)
def test_limits_are_per_role(role: str) -> None:
    data = FILES[role] + b" " * (metadata.MAX_BYTES[role] - len(FILES[role]))
    assert metadata.check(role, data) == metadata.check(role, FILES[role])
    with pytest.raises(MalformedError, match="too long"):
        metadata.check(role, data + b" ")


@given(
    role=st.sampled_from(sorted(FILES)), position=st.floats(0, 1), byte=st.integers(0, 255), cut=st.booleans()
)
def test_damage_raises_an_error_of_ours_or_is_read_as_it_stands(
    role: str, position: float, byte: int, cut: bool
) -> None:
    data = bytearray(FILES[role])
    index = min(int(position * len(data)), len(data) - 1)
    if cut:
        del data[index:]
    else:
        data[index] = byte
    try:
        found = metadata.check(role, bytes(data))
    except ProvenBadError:
        return
    assert found == json.loads(bytes(data))


def test_a_root_has_one_fingerprint_however_many_sign_it() -> None:
    signed = SIMULATOR.signed["root"]
    one, two = document(signed, "root-1"), document(signed, "root-1", "root-2")
    assert root.fingerprint(one) == root.fingerprint(two) == root.inspect_root(two).fingerprint
    assert len(root.fingerprint(one)) == 96
    other = root.fingerprint(document({**signed, "expires": "2027-05-01T00:00:01Z"}))
    assert other != root.fingerprint(one)


def test_a_root_says_who_may_sign() -> None:
    summary = root.inspect_root(FILES["root"])
    assert (summary.version, summary.expires) == (1, "2027-05-01T00:00:00Z")
    members = summary.roles["targets"]
    assert members.threshold == 2
    assert {member.holder for member in members.members} == {"release-1", "release-2", "release-3"}


def test_a_root_is_pinned_only_if_it_signs_itself() -> None:
    assert root.verify_self_signed(FILES["root"]).version == 1
    for by in ([], ["root-1"], ["release-1", "release-2"]):
        with pytest.raises(SignatureError, match="not signed by enough"):
            root.verify_self_signed(document(SIMULATOR.signed["root"], *by))


def test_what_root_lifts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = changed("root", setter(*LIFTED, value=[HOLE, THEFT]))
    found = {Subject("component", "c" * 128, 1), Subject("key", "d" * 64, 2)}
    assert root.lifted(data) == root.lifted(metadata.check("root", data)) == found
    assert Metadata[Any].from_bytes(data).to_dict() == metadata.check("root", data)
    assert root.lifted(FILES["root"]) == frozenset()
    monkeypatch.setattr(metadata, "MAX_LIFTED", 1)
    with pytest.raises(MalformedError, match="length"):
        root.lifted(data)
