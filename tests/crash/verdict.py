"""Is this enclave in the old state or in the new one, and does the next command finish?"""

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from airlift.high.enclave import recover
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.status import enclave_status
from airlift.high.enclave.switching import follow
from airlift.high.record import questions
from airlift.high.record.verify_ledger import verify_ledger
from airlift.ledger import details
from airlift.ledger.entries.governance import Relayed
from airlift.ledger.state import State, fold_entries
from airlift.store.content import digest_file
from tests.crash.scenes import OUT, SERVED, Known, Scene, enclave_in, operator, unknown
from tests.support.depots import NOW

DERIVED = {"ledger.db", "lock", "state.note"}
"""Files that differ between runs: full verification judges what they say."""

TO_BE_EXPECTED = ("no bundle", "revoked, and active")
"""Warnings that stand until the command was run again: what was revoked is dealt with at its end (SPEC 7.9-3)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger says that can be compared between runs."""

    installed: tuple[str, ...]
    active: str | None
    previous: str | None
    policy: str | None
    trust: str | None
    bundles: tuple[str, ...]


def facts(state: State) -> Facts:
    """Return what a state says."""
    return Facts(
        state.installed,
        state.active,
        state.previous,
        state.policy,
        state.trust.digest if state.trust else None,
        tuple(item.manifest for item in state.bundles),
    )


def passed_through(top: Path, since: int) -> frozenset[Facts]:
    """Return every state that an enclave has been in since its ledger had ``since`` entries."""
    with enclave_in(top).ledger() as log:
        entries = list(log.entries())
    return frozenset(facts(fold_entries(entries[:end])) for end in range(max(1, since), len(entries) + 1))


def contents(top: Path) -> dict[str, bytes | str]:
    """Return every file and link of an enclave but the ledger's, and those whose name depends on its length."""
    found: dict[str, bytes | str] = {}
    for path in sorted((top / "enclave").rglob("*")):
        name = str(path.relative_to(top / "enclave"))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and name not in DERIVED and not name.startswith("trust/0"):
            found[name] = path.read_bytes()
    return found


def folders_in(top: Path) -> dict[str, dict[str, bytes]]:
    """Return the folders in a folder by name, each with its files by path; temporary ones are left out."""
    found = [path for path in (top.iterdir() if top.is_dir() else ()) if not path.name.startswith(".tmp-")]
    return {
        folder.name: {str(path.relative_to(folder)): path.read_bytes() for path in _files(folder)}
        for folder in found
    }


@dataclass(frozen=True, slots=True)
class Expected:
    """How an undisturbed run of a scene begins, what it passes through, and how it ends."""

    scene: Scene
    allowed: frozenset[Facts]
    final: Facts
    contents: dict[str, bytes | str]
    active: AbstractSet[str | None]
    kept: Mapping[str, Mapping[str, bytes]]
    handed: Mapping[str, Mapping[str, bytes]]

    def judge(self, top: Path, known: Known = unknown) -> None:
        """Assert that an interrupted run left the old or the new state, and that running it again finishes.

        What was recovered is asserted to be so only if it is not known.
        """
        exists = (top / "enclave").exists()
        if exists:
            self._check_served(enclave_in(top))
            self._check_export(enclave_in(top))
            recover_enclave(top)
        if known(top):
            return
        if exists:
            self._check(enclave_in(top), self.allowed, whole=self.scene.name != "repair")
        self.scene.run(top)
        self.finished(top)

    def finished(self, top: Path) -> None:
        """Assert that the enclave is as after an undisturbed run."""
        self._check(enclave_in(top), frozenset({self.final}), whole=True)
        assert (top / SERVED).is_dir() == self.scene.name.startswith("serve")
        assert self._check_export(enclave_in(top)) in {None, *self.final.installed}
        found = contents(top)
        assert set(found) == set(self.contents)
        assert [path for path, data in found.items() if data != self.contents[path]] == []
        assert folders_in(top / OUT) == self.handed
        left = (top / OUT).glob(".tmp-*")  # an empty one may be of a command that has just begun: it stays
        assert [str(path) for path in left if any(path.iterdir())] == []

    def _check_served(self, enclave: Enclave) -> None:
        """What model servers see before anything was recovered: the old or the new set, every file of it."""
        target = recover.points_at(enclave.active)
        assert target in self.active
        if target is None:
            return
        switched = {item.active for item in self.allowed if item.active}
        digest = next(item for item in switched if enclave.active_target(item) == target)
        release = enclave.load_release(digest)
        wanted = {f"{component.name}/{entry.path}": entry.sha512 for component, entry in release.files()}
        found = {str(p.relative_to(enclave.active)): digest_file(p) for p in _files(enclave.active)}
        assert set(found) == set(wanted)
        assert found == wanted or self.scene.name == "repair"

    def _check_export(self, enclave: Enclave) -> str | None:
        """What is served beside the enclave, at any moment: nothing, or all files of one release.

        The ledger is not asked: before anything was recovered it may hold half a transaction, and says so.
        """
        place = enclave.folder.with_name(SERVED)
        if not place.is_dir():
            return None
        found = {str(p.relative_to(place)): digest_file(p) for p in _files(place)}
        for digest in sorted({digest for item in self.allowed for digest in item.installed}):
            files = enclave.load_release(digest).files()
            if found == {f"{component.name}/{entry.path}": entry.sha512 for component, entry in files}:
                return digest
        raise AssertionError("what is served is a mixture")

    def _check(self, enclave: Enclave, allowed: AbstractSet[Facts], *, whole: bool) -> None:
        state = enclave.state()
        assert facts(state) in allowed
        assert state.open == ()
        assert verify_ledger(enclave, public_key=operator().signer.public).ok
        for bundle in state.bundles:
            questions.load_record(enclave, bundle.bundle)
        warnings = enclave_status(enclave, NOW).warnings
        assert [text for text in warnings if not any(known in text for known in TO_BE_EXPECTED)] == []
        if whole:
            check_content(enclave)
        expected = enclave.active_target(state.active) if state.active else None
        assert recover.points_at(enclave.active) == expected
        assert [str(path) for path in enclave.folder.rglob(".tmp-*")] == []
        self._check_relay(enclave)
        assert list(follow.out_of_step(state)) == []
        assert follow.leftovers(state) == []
        assert {path.name for path in enclave.releases.iterdir()} == {
            enclave.release_path(digest).name for digest in state.installed
        }

    def _check_relay(self, enclave: Enclave) -> None:
        """What a hub keeps and has handed on is whole; nothing is handed on that is not recorded (SPEC 7.12-7)."""
        kept, handed = folders_in(enclave.relay), folders_in(enclave.folder.with_name(OUT))
        assert [name for name, found in kept.items() if found != self.kept.get(name)] == []
        assert [name for name, found in handed.items() if found != self.handed.get(name)] == []
        with enclave.ledger() as log:
            entries = list(log.entries(types=(Relayed.TYPE,)))
        recorded = {name for entry in entries for name in details.read(entry, Relayed).volume_names}
        assert set(handed) <= recorded


def recover_enclave(top: Path) -> None:
    """Do what every command does first that changes an enclave."""
    with enclave_in(top).lock():
        recover.recover(enclave_in(top), operator())


def _files(top: Path) -> list[Path]:
    return [Path(folder) / name for folder, _, names in os.walk(top) for name in names]
