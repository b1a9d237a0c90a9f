"""The high side's verifier against a repository that lies in every way of THREATS.md, "Against the update system"."""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.formats import encode_canonical
from tuf.api import exceptions
from tuf.ngclient.updater import Updater

from airlift.errors import (
    AirliftError,
    DigestError,
    ExpiredError,
    InventoryError,
    MalformedError,
    ReplayError,
    SignatureError,
    StorageError,
    TrustStateError,
    UncheckedError,
)
from airlift.trust.tuf import fetcher, metadata, verifier
from tests.support.trust_simulator import (
    BUNDLE,
    BUNDLE_NAME,
    LATER,
    NOW,
    RELEASE,
    RELEASE_NAME,
    Enclave,
    Simulator,
    digest,
    document,
    role,
    signature,
    signer,
    target,
)


@pytest.fixture(scope="module")
def published() -> Simulator:
    return Simulator().publish()


@pytest.fixture
def medium(published: Simulator) -> Simulator:
    return published.copy()


@pytest.fixture
def enclave(medium: Simulator, tmp_path: Path) -> Enclave:
    return Enclave(medium.files["1.root.json"], tmp_path)


def refused(
    enclave: Enclave, medium: Simulator, kind: type[AirliftError], time: datetime = NOW
) -> AirliftError:
    """Refresh, expect an error of exactly ``kind``, and that the committed state is as before."""
    before = dict(enclave.state)
    with pytest.raises(kind) as caught:
        enclave.refresh(medium, time)
    assert type(caught.value) is kind
    assert enclave.state == before
    return caught.value


# -- what is right -------------------------------------------------------------------------------------------------


def test_a_good_medium(enclave: Enclave, medium: Simulator) -> None:
    trusted = enclave.refresh(medium)
    assert trusted.versions == {"root": 1, "targets": 1, "bundler": 1, "snapshot": 1, "timestamp": 1}
    assert trusted.expires == dict.fromkeys(trusted.versions, LATER)
    assert not trusted.overtaken
    assert trusted.sequence == 1
    assert trusted.files["timestamp.json"] == medium.files["timestamp.json"]
    assert trusted.files["bundler.json"] == medium.files["1.bundler.json"]
    assert trusted.roots == {1: medium.files["1.root.json"]}
    assert trusted.bundler_key_ids == (signer("bundler").public.key_id,)
    assert trusted.holders[signer("release-1").public.key_id] == "release-1"
    assert trusted.signers["targets"] == tuple(sorted(signer(f"release-{n}").public.key_id for n in (1, 2)))
    assert trusted.signers["root"] == tuple(sorted(signer(f"root-{n}").public.key_id for n in (1, 2)))
    assert trusted.signers["bundler"] == trusted.signers["timestamp"] == trusted.bundler_key_ids


def test_targets_are_verified_by_length_and_digest(enclave: Enclave, medium: Simulator) -> None:
    trusted = enclave.refresh(medium)
    trusted.verify_target(RELEASE_NAME, RELEASE)
    trusted.verify_target(BUNDLE_NAME, BUNDLE)
    found = trusted.target(BUNDLE_NAME)
    assert found is not None
    assert (found.role, found.length) == ("bundler", len(BUNDLE))
    for data in (RELEASE + b" ", RELEASE[:-1] + b"!", b""):
        with pytest.raises(DigestError):
            trusted.verify_target(RELEASE_NAME, data)
    with pytest.raises(ReplayError):
        trusted.verify_target("bundle-" + "0" * 64, BUNDLE)
    with pytest.raises(SignatureError):
        trusted.verify_target("release-" + "0" * 64, RELEASE)


def test_the_same_medium_twice_changes_nothing(enclave: Enclave, medium: Simulator) -> None:
    first = enclave.refresh(medium)
    second = enclave.refresh(medium)
    assert second.files == first.files
    assert not second.overtaken


def test_a_newer_medium_and_a_new_root(enclave: Enclave, medium: Simulator) -> None:
    enclave.refresh(medium)
    medium.rotate(root=role("root-2", "root-3", "root-4", threshold=2, days=730)).bump()
    medium.by["root"] = ["root-2", "root-3"]
    trusted = enclave.refresh(medium.publish())
    assert trusted.versions["root"] == 2
    assert list(trusted.roots) == [1, 2]
    assert enclave.roots == {2: medium.files["2.root.json"]}


def test_p384_keys_sign_as_well(tmp_path: Path) -> None:
    medium = Simulator()
    p384 = signer("token", "ecdsa-p384")
    root = medium.signed["root"]
    root["keys"][p384.public.key_id] = {**p384.public.tuf(), "x-airlift-holder": "token"}
    root["roles"]["timestamp"]["keyids"] = [p384.public.key_id]
    medium.publish()
    signed = medium.signed["timestamp"]
    medium.files["timestamp.json"] = json.dumps(
        {"signatures": [signature(p384, signed)], "signed": signed}
    ).encode()
    trusted = Enclave(medium.files["1.root.json"], tmp_path).refresh(medium)
    assert trusted.signers["timestamp"] == (p384.public.key_id,)


# -- arbitrary install ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("targets", []),
        ("targets", ["release-1"]),
        ("targets", ["root-1", "root-2"]),
        ("targets", ["bundler"]),
        ("bundler", []),
        ("bundler", ["release-1", "release-2"]),
        ("snapshot", ["release-1"]),
        ("timestamp", []),
        ("timestamp", ["root-1"]),
    ],
)
def test_unsigned_under_threshold_or_by_another_role(
    name: str, by: list[str], enclave: Enclave, medium: Simulator
) -> None:
    """THREATS: arbitrary install (unsigned, under threshold, wrong role, key of another role)."""
    medium.by[name] = by
    refused(enclave, medium.bump().publish(), SignatureError)


def test_content_changed_after_signing(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: arbitrary install (a target added to signed metadata)."""
    for name in ("1.targets.json", "1.bundler.json", "1.snapshot.json"):
        bad = medium.copy()
        bad.files[name] = bad.files[name].replace(LATER.encode(), b"2027-05-01T00:00:01Z")
        refused(enclave, bad, DigestError)
    bad = medium.copy()
    bad.files["timestamp.json"] = bad.files["timestamp.json"].replace(LATER.encode(), b"2027-05-01T00:00:01Z")
    refused(enclave, bad, SignatureError)


def test_a_stolen_bundler_key_cannot_add_a_release(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: a stolen bundler key (may waste time, may not install a byte)."""
    medium.signed["bundler"]["targets"]["release-" + "f" * 64] = target(b"evil")
    refused(enclave, medium.bump().publish(), MalformedError)
    medium.signed["bundler"]["targets"] = {}
    medium.signed["targets"]["targets"]["release-" + "f" * 64] = target(b"evil")
    medium.by["targets"] = ["bundler"]
    refused(enclave, medium.bump().publish(), SignatureError)


def test_a_stolen_timestamp_key_cannot_add_anything(tmp_path: Path) -> None:
    """THREATS: a stolen timestamp key."""
    medium = Simulator().rotate(timestamp=role("timestamp"))
    medium.signed["root"]["version"] = 1
    medium.signed["snapshot"]["x-airlift-root-version"] = 1
    medium.by["timestamp"] = ["timestamp"]
    enclave = Enclave(medium.publish().files["1.root.json"], tmp_path)
    enclave.refresh(medium)
    for name in ("snapshot", "bundler", "targets"):
        bad = medium.copy()
        bad.by |= {
            other: ["timestamp"]
            for other in ("targets", "bundler", "snapshot")[: 3 if name == "targets" else 1]
        }
        bad.by[name] = ["timestamp"]
        refused(enclave, bad.bump().publish(), SignatureError)


# -- rollback, replay, mix and match -------------------------------------------------------------------------------


def test_an_overtaken_medium_is_judged_by_own_metadata(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: a bundle overtaken by a newer one (installs while still listed)."""
    old = medium.copy()
    newer = "bundle-" + "c" * 64
    medium.signed["bundler"]["targets"][newer] = target(b"newer")
    medium.signed["bundler"]["x-airlift-sequence"] = 2
    first = enclave.refresh(medium.bump().publish())
    trusted = enclave.refresh(old)
    assert trusted.overtaken
    assert trusted.files == first.files
    assert trusted.sequence == 2
    trusted.verify_target(BUNDLE_NAME, BUNDLE)


def test_a_withdrawn_bundle_is_refused(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: a bundle overtaken by a newer one (3 when no longer listed)."""
    old = medium.copy()
    del medium.signed["bundler"]["targets"][BUNDLE_NAME]
    enclave.refresh(medium.bump().publish())
    trusted = enclave.refresh(old)
    assert trusted.overtaken
    with pytest.raises(ReplayError, match="not listed"):
        trusted.verify_target(BUNDLE_NAME, BUNDLE)


@pytest.mark.parametrize("name", ["snapshot", "targets", "bundler"])
def test_rollback_of_one_role_under_a_newer_timestamp(name: str, enclave: Enclave, medium: Simulator) -> None:
    """THREATS: rollback of targets and snapshot; mix and match of two bundles' metadata."""
    medium.bump().bump().publish()
    enclave.refresh(medium)
    medium.bump("timestamp", "snapshot") if name != "snapshot" else medium.bump("timestamp")
    medium.signed[name]["version"] -= 1
    refused(enclave, medium.publish(), ReplayError)


def test_rollback_of_the_timestamp_never_takes_effect(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: rollback of timestamp."""
    old = medium.copy()
    medium.signed["targets"]["targets"].pop(RELEASE_NAME)
    enclave.refresh(medium.bump().publish())
    trusted = enclave.refresh(old)
    assert trusted.target(RELEASE_NAME) is None
    assert trusted.versions["timestamp"] == 2


def test_rollback_of_root_never_takes_effect(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: rollback of root (a revoked key stays revoked although the medium offers the old root only)."""
    old = medium.copy()
    medium.rotate(targets=role("release-2", "release-3", "release-4", threshold=2)).bump()
    medium.by["targets"] = ["release-3", "release-4"]
    enclave.refresh(medium.publish())
    trusted = enclave.refresh(old)
    assert trusted.overtaken
    assert trusted.versions["root"] == 2
    old.bump().bump().publish()  # newer metadata, but by a removed release key
    refused(enclave, old, SignatureError)


def test_an_overtaken_medium_of_a_removed_bundler_key(enclave: Enclave, medium: Simulator) -> None:
    """A bundle that was made before the bundler's key was replaced is judged by the newer, own metadata."""
    old = medium.copy()
    enclave.refresh(rotated_bundler(medium).publish())
    trusted = enclave.refresh(old)
    assert trusted.overtaken
    trusted.verify_target(BUNDLE_NAME, BUNDLE)


def test_fast_forward_and_recovery(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: fast-forward and recovery from it: a new root with new keys makes low versions acceptable again."""
    attack = medium.copy()
    for name in ("snapshot", "timestamp", "bundler"):
        attack.signed[name]["version"] = metadata.MAX_VERSION
    enclave.refresh(attack.publish())
    assert enclave.refresh(medium.bump("timestamp", "snapshot").publish()).overtaken  # stuck, but not fooled
    trusted = enclave.refresh(rotated_bundler(medium).publish())
    assert not trusted.overtaken
    assert trusted.versions["timestamp"] == 3


def rotated_bundler(medium: Simulator) -> Simulator:
    medium.rotate(snapshot=role("bundler-2"), timestamp=role("bundler-2")).bump()
    delegated = medium.signed["targets"]["delegations"]
    key_id = signer("bundler-2").public.key_id
    delegated["keys"] = {key_id: {**signer("bundler-2").public.tuf(), "x-airlift-holder": "second"}}
    delegated["roles"][0]["keyids"] = [key_id]
    medium.by |= {name: ["bundler-2"] for name in ("bundler", "snapshot", "timestamp")}
    return medium


# -- roots ---------------------------------------------------------------------------------------------------------


def two_roots(medium: Simulator) -> Simulator:
    for _ in range(2):
        medium.rotate().bump().publish()
    return medium


def test_a_chain_of_roots(enclave: Enclave, medium: Simulator) -> None:
    assert enclave.refresh(two_roots(medium)).versions["root"] == 3
    assert sorted(enclave.roots) == [2, 3]


def test_a_missing_root_in_the_chain(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: a missing root in the chain."""
    two_roots(medium).signed["snapshot"]["x-airlift-root-version"] = 1  # nothing but the gap tells
    del medium.bump().publish().files["2.root.json"]
    error = refused(enclave, medium, InventoryError)
    assert (error.message, error.found) == ("2.root.json is missing from the medium", "3.root.json")


def test_a_skipped_root_version(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: skipped root versions."""
    two_roots(medium)
    medium.files["2.root.json"] = medium.files["3.root.json"]
    refused(enclave, medium, MalformedError)


def test_a_newest_root_left_out(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: freeze (the newest root, which may revoke a key, is left off the medium)."""
    del two_roots(medium).files["3.root.json"]
    refused(enclave, medium, InventoryError)


@pytest.mark.parametrize(
    "by", [["root-1"], ["root-4", "release-1"], ["root-3", "root-4"], ["root-1", "root-2"]]
)
def test_a_new_root_needs_the_old_and_the_new_threshold(
    by: list[str], enclave: Enclave, medium: Simulator
) -> None:
    """THREATS: arbitrary install (a root that is not signed by both thresholds)."""
    medium.rotate(root=role("root-2", "root-3", "root-4", threshold=2, days=730)).bump()
    medium.by["root"] = by
    refused(enclave, medium.publish(), SignatureError)
    assert enclave.roots == {}


def test_trap_2_a_valid_root_is_kept_although_the_rest_fails(enclave: Enclave, medium: Simulator) -> None:
    """Trap 2: a revocation survives a failed import, while timestamp and snapshot of that medium do not."""
    enclave.refresh(medium)
    bad = medium.copy().rotate().bump()
    bad.by["targets"] = ["release-1"]
    refused(enclave, bad.publish(), SignatureError)
    assert enclave.roots == {2: bad.files["2.root.json"]}
    trusted = enclave.refresh(medium)
    assert trusted.versions == {"root": 2, "targets": 1, "bundler": 1, "snapshot": 1, "timestamp": 1}


def test_trap_2_a_failed_import_does_not_poison_the_next_one(enclave: Enclave, medium: Simulator) -> None:
    """Trap 2: a timestamp that led to bad targets is forgotten, so that the good one of that version is accepted."""
    enclave.refresh(medium)
    bad = medium.copy().bump()
    bad.by["targets"] = []
    bad.signed["snapshot"]["expires"] = "2027-04-01T00:00:00Z"
    refused(enclave, bad.publish(), SignatureError)
    good = medium.bump().publish()
    assert enclave.refresh(good).files["snapshot.json"] == good.files["2.snapshot.json"]


def test_a_kept_root_that_is_damaged(enclave: Enclave, medium: Simulator) -> None:
    """A kept root that no longer verifies must not bring revoked keys back."""
    good = medium.copy()
    enclave.refresh(medium.rotate().bump().publish())
    enclave.state = {}
    enclave.roots[2] = re.sub(rb'"sig":"....', b'"sig":"0000', enclave.roots[2])
    refused(enclave, good, TrustStateError)
    enclave.roots[2] = b"{}"
    refused(enclave, good, TrustStateError)


def test_the_pinned_root_must_be_good(enclave: Enclave, medium: Simulator) -> None:
    for pinned, kind in (
        (b"{}", MalformedError),
        (document(medium.signed["root"], "root-1"), SignatureError),
    ):
        enclave.pinned = pinned
        refused(enclave, medium, kind)


# -- keys, thresholds, algorithms ----------------------------------------------------------------------------------


def test_trap_1_one_public_key_under_two_key_ids(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: one public key under two key ids."""
    root = medium.rotate().signed["root"]
    lone = signer("root-1").public
    root["keys"]["0" * 64] = {**lone.tuf(), "x-airlift-holder": "twin"}
    root["roles"]["root"]["keyids"].append("0" * 64)
    refused(enclave, medium.publish(), SignatureError)


def test_trap_1_one_public_key_in_two_spellings(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: one public key under two key ids (each is the right id of its spelling of the key)."""
    root = medium.rotate().signed["root"]
    twin = signer("root-1").public.tuf()
    twin["keyval"] = {"public": twin["keyval"]["public"].replace("\n", "\r\n")}
    key_id = hashlib.sha256(str(encode_canonical(twin)).encode()).hexdigest()
    root["keys"][key_id] = {**twin, "x-airlift-holder": "twin"}
    root["roles"]["root"]["keyids"].append(key_id)
    error = refused(enclave, medium.publish(), SignatureError)
    assert "canonical" in error.message


def test_duplicate_signatures(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: duplicate signatures."""
    medium.by["targets"] = ["release-1", "release-1"]
    refused(enclave, medium.bump().publish(), SignatureError)


@pytest.mark.parametrize("threshold", [0, -1, 4])
def test_a_threshold_that_means_nothing(threshold: int, enclave: Enclave, medium: Simulator) -> None:
    """THREATS: threshold 0."""
    medium.rotate().signed["root"]["roles"]["targets"]["threshold"] = threshold
    refused(enclave, medium.publish(), SignatureError)


@pytest.mark.parametrize(
    ("keytype", "scheme"),
    [
        ("ed25519", "ed25519"),
        ("rsa", "rsassa-pss-sha256"),
        ("ecdsa", "ecdsa-sha2-nistp256"),
        ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
        ("ml-dsa", "ml-dsa-44/1"),
        ("ml-dsa", "ml-dsa-65/1"),
        ("ecdsa", "ecdsa-sha2-nistp384"),
        ("x", "y"),
    ],
)
def test_weak_or_downgraded_algorithms(
    keytype: str, scheme: str, enclave: Enclave, medium: Simulator
) -> None:
    """THREATS: unknown, weak or downgraded algorithms (the last but one: an ML-DSA key labelled as P-384)."""
    root = medium.rotate().signed["root"]
    key_id = root["roles"]["targets"]["keyids"][0]
    root["keys"][key_id] |= {"keytype": keytype, "scheme": scheme}
    refused(enclave, medium.publish(), SignatureError)


# -- parsing, size, digests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["1.targets.json", "1.bundler.json", "1.snapshot.json", "timestamp.json"])
def test_trap_3_a_duplicate_key_inside_signed(name: str, enclave: Enclave, medium: Simulator) -> None:
    """Trap 3: the last of two equal JSON keys would win."""
    medium.files[name] = medium.files[name].replace(b'"version":1', b'"version":9,"version":1', 1)
    refused(enclave, medium, MalformedError)


def test_trap_4_only_manifests_are_targets(enclave: Enclave, medium: Simulator) -> None:
    """Trap 4: a chunk as a TUF target is refused; chunks are verified by airlift."""
    medium.signed["bundler"]["targets"]["chunk-" + "0" * 64] = target(b"chunk")
    refused(enclave, medium.bump().publish(), MalformedError)


def test_trap_5_a_timestamp_with_three_ml_dsa_signatures(tmp_path: Path) -> None:
    """Trap 5: tuf's default of 16384 bytes holds one ML-DSA-87 signature, not two."""
    medium = Simulator()
    names = ["bundler", "root-1", "root-2"]
    medium.signed["root"]["roles"]["timestamp"] = role(*names, threshold=3)
    medium.by["timestamp"] = names
    medium.publish()
    assert len(medium.files["timestamp.json"]) > 16384
    trusted = Enclave(medium.files["1.root.json"], tmp_path).refresh(medium)
    assert len(trusted.signers["timestamp"]) == 3


def test_trap_6_the_reference_time_is_ours(enclave: Enclave, medium: Simulator, tmp_path: Path) -> None:
    """Trap 6: fails loudly if a new tuf judges expiry by something else than the time set here."""
    assert enclave.refresh(medium, datetime(2027, 4, 30, tzinfo=UTC)).versions["root"] == 1
    refused(enclave, medium, ExpiredError, datetime(2027, 5, 1, tzinfo=UTC))
    long_gone = Simulator()
    for signed in long_gone.signed.values():
        signed["expires"] = "2001-01-01T00:00:00Z"
    enclave = Enclave(long_gone.publish().files["1.root.json"], tmp_path / "gone")
    enclave.refresh(long_gone, datetime(2000, 1, 1, tzinfo=UTC))


def test_trap_6_a_tuf_without_the_hook_is_noticed(
    enclave: Enclave, medium: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changed:
        def __init__(self, *_args: Any, **_named: Any) -> None: ...

    monkeypatch.setattr(verifier, "Updater", Changed)
    with pytest.raises(AirliftError, match="no reference time"):
        enclave.refresh(medium)


def test_trap_7_a_state_has_a_digest(enclave: Enclave, medium: Simulator) -> None:
    """Trap 7: the ledger pins this digest, so that an emptied or exchanged trust state is noticed."""
    enclave.refresh(medium)
    whole = metadata.state_digest(enclave.state)
    assert len(whole) == 96
    assert whole == metadata.state_digest(dict(reversed(enclave.state.items())))
    seen = {whole, metadata.state_digest({})}
    for name in enclave.state:
        seen.add(metadata.state_digest({**enclave.state, name: b""}))
        seen.add(metadata.state_digest({k: v for k, v in enclave.state.items() if k != name}))
    assert len(seen) == 2 + 2 * len(enclave.state)


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json", "bundler.json"])
def test_trap_7_half_a_state_is_refused(name: str, enclave: Enclave, medium: Simulator) -> None:
    """Trap 7: an empty trust state beside a full ledger reopens rollback; so would a partial or damaged one."""
    enclave.refresh(medium)
    whole = dict(enclave.state)
    enclave.state.pop(name)
    refused(enclave, medium, TrustStateError)
    enclave.state = {**whole, name: b"{}"}
    refused(enclave, medium, TrustStateError)


@pytest.mark.parametrize("hashes", [{"md5": "0" * 32}, {"sha256": "0" * 64}, {"sha1": "0" * 40}])
@pytest.mark.parametrize("beside", [False, True])
def test_trap_8_weak_digests(
    hashes: dict[str, str], beside: bool, enclave: Enclave, medium: Simulator
) -> None:
    """Trap 8: MD5 is accepted by tuf if it is signed; here SHA-512 is demanded, and MD5 refused even beside it."""
    entry = medium.signed["targets"]["targets"][RELEASE_NAME]
    entry["hashes"] = {**hashes, **(digest(RELEASE) if beside else {})}
    medium.bump().publish()
    if beside and "sha256" in hashes:
        enclave.refresh(medium)
    else:
        refused(enclave, medium, MalformedError)


@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_endless_data(name: str, enclave: Enclave, medium: Simulator) -> None:
    """THREATS: endless data: no more than the role's limit is ever asked for, and one byte more is refused."""
    asked = []

    def endless(wanted: str, limit: int) -> bytes | None:
        asked.append(limit)
        return b" " * (limit + 1) if wanted == name else medium.read(wanted, limit)

    with pytest.raises(MalformedError, match="too long"):
        enclave.refresh(medium, read=endless)
    assert (
        max(asked) == max(metadata.MAX_BYTES[role] for role in ("root", "targets")) or max(asked) <= 512_000
    )


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json", "1.bundler.json"])
def test_missing_metadata(name: str, enclave: Enclave, medium: Simulator) -> None:
    del medium.files[name]
    refused(enclave, medium, InventoryError)


def test_a_medium_that_cannot_be_read_is_not_bad(enclave: Enclave, medium: Simulator) -> None:
    """An I/O error while reading comes out as itself (exit 7), not as bad data (exit 3)."""

    def broken(_name: str, _limit: int) -> bytes | None:
        raise UncheckedError("cannot read")

    with pytest.raises(UncheckedError, match="cannot read"):
        enclave.refresh(medium, read=broken)


def test_a_scratch_folder_that_cannot_be_written(enclave: Enclave, medium: Simulator) -> None:
    enclave.folder.joinpath("work-0").write_bytes(b"a file in the way")
    refused(enclave, medium, StorageError)


# -- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("year", [1970, 2000])
def test_a_clock_in_the_past_expires_nothing(year: int, enclave: Enclave, medium: Simulator) -> None:
    """THREATS: clock at 1970, in 2000 (the caller raises the time to that of the newest committed bundle)."""
    assert enclave.refresh(medium, datetime(year, 1, 1, tzinfo=UTC)).versions["timestamp"] == 1


def test_a_clock_in_2100_expires_everything_and_changes_nothing(enclave: Enclave, medium: Simulator) -> None:
    """THREATS: clock in 2100."""
    enclave.refresh(medium)
    refused(enclave, medium, ExpiredError, datetime(2100, 1, 1, tzinfo=UTC))
    enclave.refresh(medium)


@pytest.mark.parametrize("name", ["root", "targets", "bundler", "snapshot", "timestamp"])
@pytest.mark.parametrize("known", [False, True])
def test_freeze(name: str, known: bool, enclave: Enclave, medium: Simulator) -> None:
    """THREATS: freeze: the error names the role, its expiry and the reference time."""
    medium.signed[name]["expires"] = "2026-12-01T00:00:00Z"
    medium.publish()
    enclave.pinned = medium.files["1.root.json"]
    if known:
        enclave.refresh(medium)
    error = refused(enclave, medium, ExpiredError, datetime(2026, 12, 2, tzinfo=UTC))
    assert f"role {name} " in error.message
    assert error.found == "2026-12-01T00:00:00Z"
    assert "2026-12-02T00:00:00Z" in str(error.expected)


def test_an_expired_medium_overtaken_by_fresh_own_metadata(enclave: Enclave, medium: Simulator) -> None:
    old = medium.copy()
    old.signed["timestamp"]["expires"] = "2026-11-01T00:00:00Z"
    enclave.refresh(medium.bump().publish())
    assert enclave.refresh(old.publish()).overtaken


# -- nothing of tuf escapes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (exceptions.BadVersionNumberError("x"), ReplayError),
        (exceptions.UnsignedMetadataError("x"), SignatureError),
        (exceptions.LengthOrHashMismatchError("x"), DigestError),
        (exceptions.RepositoryError("x"), MalformedError),
        (exceptions.DownloadHTTPError("x", 404), InventoryError),
        (exceptions.DownloadError("x"), MalformedError),
        (OSError(28, "full"), StorageError),
    ],
)
def test_errors_of_tuf_become_ours(
    raised: Exception,
    kind: type[AirliftError],
    enclave: Enclave,
    medium: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_self: object) -> None:
        raise raised

    monkeypatch.setattr(Updater, "refresh", fail)
    with pytest.raises(kind):
        enclave.refresh(medium)


def test_an_error_of_ours_that_tuf_wrapped_comes_out_as_itself(
    enclave: Enclave, medium: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: object) -> None:
        raise exceptions.DownloadError("wrapped") from UncheckedError("ours")

    monkeypatch.setattr(Updater, "refresh", fail)
    with pytest.raises(UncheckedError, match="ours"):
        enclave.refresh(medium)


def test_the_fetcher_serves_nothing_but_metadata(medium: Simulator) -> None:
    made = fetcher.MediumFetcher(medium.read, {}, lambda: 0)
    for name in ("root.json", "1.timestamp.json", "1.other.json", "0.targets.json", "../1.root.json"):
        with pytest.raises(MalformedError):
            made.download_bytes(fetcher.BASE_URL + name, 1 << 20)
    with pytest.raises(DigestError, match="too long"):
        made.download_bytes(fetcher.BASE_URL + "1.root.json", 100)
    assert b"".join(made.fetch(fetcher.BASE_URL + "1.root.json")) == medium.files["1.root.json"]


def every_document(medium: Simulator) -> list[tuple[str, Callable[[bytes], bytes]]]:
    changes: list[Callable[[bytes], bytes]] = [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'"version":1', b'"version":2'),
    ]
    return [(name, change) for name in medium.files for change in changes]


def test_every_damaged_file_is_refused(enclave: Enclave, medium: Simulator) -> None:
    for name, change in every_document(medium):
        bad = medium.copy()
        bad.files[name] = change(bad.files[name])
        if name == "1.root.json":
            enclave.pinned = bad.files[name]
        else:
            enclave.pinned = medium.files["1.root.json"]
        with pytest.raises(AirliftError) as caught:
            enclave.refresh(bad)
        assert caught.value.exit_code == 3
