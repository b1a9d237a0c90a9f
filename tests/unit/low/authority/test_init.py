from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from airlift import files
from airlift.errors import ExistsError, KeyUnavailableError, NoSpaceError, UsageError
from airlift.low.authority import members
from airlift.low.authority.init import Authorities, init
from airlift.low.authority.members import NamedRole
from airlift.low.depot.depot import open_depot
from airlift.low.depot.events import read_events
from airlift.trust.keys.file import FileSigner
from airlift.trust.tuf import root
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, make_site


def people(folder: Path, ending: str = ".key") -> Authorities:
    keys.write(folder, *ROOTS, *RELEASERS, BUNDLER)
    return Authorities(
        NamedRole([folder / f"{name}{ending}" for name in ROOTS], 2),
        NamedRole([folder / f"{name}{ending}" for name in RELEASERS], 2),
        folder / f"{BUNDLER}.pub",
    )


def test_all_keys_at_hand(tmp_path: Path) -> None:
    result = init(tmp_path / "a" / "depot", replace(people(tmp_path / "keys"), expires={"root": 10}), now=NOW)
    assert result.pending == ()
    assert result.root.read_bytes() == (open_depot(result.depot).store.raw("root", 1))
    summary = root.verify_self_signed(result.root.read_bytes())
    assert (summary.fingerprint, summary.expires) == (result.fingerprint, "2026-12-01T12:00:00Z")
    assert {member.holder for member in summary.roles["root"].members} == set(ROOTS)
    assert [item.event for item in read_events(open_depot(result.depot))] == ["init"]


def test_members_who_sign_later(tmp_path: Path) -> None:
    result = init(tmp_path / "depot", people(tmp_path / "keys", ".pub"), now=NOW)
    assert set(result.pending) == {"root", "release"}
    assert not result.root.exists()
    assert result.fingerprint
    assert not open_depot(result.depot).is_published("0" * 128)


def test_dry_run_leaves_nothing(tmp_path: Path) -> None:
    result = init(tmp_path / "x" / "depot", people(tmp_path / "keys"), now=NOW, dry_run=True)
    assert result.fingerprint is None
    assert not (tmp_path / "x").exists()
    with pytest.raises(UsageError):
        init(
            tmp_path / "depot", replace(people(tmp_path / "keys"), expires={"root": 0}), now=NOW, dry_run=True
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda given: replace(given, root=replace(given.root, threshold=4)),
        lambda given: replace(given, release=replace(given.release, threshold=0)),
        lambda given: replace(given, expires={"x": 1}),
    ],
    ids=["root threshold", "release threshold", "expires"],
)
def test_refused_settings_leave_nothing(tmp_path: Path, change: Callable[[Authorities], Authorities]) -> None:
    with pytest.raises(UsageError):
        init(tmp_path / "depot", change(people(tmp_path / "keys")), now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_one_person_twice(tmp_path: Path) -> None:
    """THREATS, rules: one holder in two places of one decision; 2 of 3 are no two people if two keys are one's."""
    given = people(tmp_path / "keys")
    keys.write(tmp_path / "home", "bob")
    (tmp_path / "home" / "Alice.key").write_bytes((tmp_path / "home" / "bob.key").read_bytes())
    mine = [tmp_path / "keys" / "alice.key", tmp_path / "home" / "Alice.key", tmp_path / "keys" / "carol.key"]
    with pytest.raises(UsageError, match="has 2 keys of a role for which 2 people must sign") as caught:
        init(tmp_path / "depot", replace(given, root=NamedRole(mine, 2)), now=NOW)
    assert caught.value.expected == "one key a person"
    assert not (tmp_path / "depot").exists()
    assert init(tmp_path / "depot", replace(given, root=NamedRole(mine, 1)), now=NOW).pending == ()


def test_one_key_twice(tmp_path: Path) -> None:
    """THREATS, update system: one public key under two key ids."""
    given = people(tmp_path / "keys")
    (tmp_path / "keys" / "alias.pub").write_bytes((tmp_path / "keys" / "alice.pub").read_bytes())
    twice = NamedRole([tmp_path / "keys" / "alice.key", tmp_path / "keys" / "alias.pub"], 2)
    with pytest.raises(UsageError, match="twice"):
        init(tmp_path / "depot", replace(given, root=twice), now=NOW)


def test_a_key_that_is_missing(tmp_path: Path) -> None:
    given = replace(people(tmp_path / "keys"), bundler=tmp_path / "nobody.pub")
    with pytest.raises(KeyUnavailableError):
        init(tmp_path / "depot", given, now=NOW)
    assert not (tmp_path / "depot").exists()


def test_a_folder_in_use(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    with pytest.raises(ExistsError):
        init(site.folder / "depot", people(tmp_path / "keys"), now=NOW)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS, file system: a full disk at every write."""

    def full(_source: Path, target: Path) -> None:
        raise NoSpaceError(f"no space left to write {target}")

    given = people(tmp_path / "keys")
    monkeypatch.setattr(files, "rename_durable", full)
    with pytest.raises(NoSpaceError):
        init(tmp_path / "depot", given, now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_a_token_is_named_after_its_object(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_source: str, _passphrase: object) -> FileSigner:
        return keys.signer("alice")

    monkeypatch.setattr(members, "load_signer", load)
    sources = ["pkcs11:token=vault;object=Alice%20A;type=private", "pkcs11:token=vault"]
    found = members.load(sources, None)
    assert found[sources[0]].member.holder == "Alice A"
    assert found[sources[1]].member.holder == keys.signer("alice").public.key_id[:16]
