"""Two at once: imports, switches, garbage collection and readers beside each other, each in a process of its own."""

import fcntl
import os
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from airlift import files
from airlift.errors import AirliftError, BusyError, TrustStateError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.status import enclave_status, list_releases
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.importing.repair import repair
from airlift.high.record.changes import find_changes
from airlift.high.record.receipt import print_receipt
from airlift.high.record.verify_ledger import verify_ledger
from airlift.ledger.enclave_folder import MAX_LOOKS
from airlift.ledger.state import State
from tests.support import enclaves
from tests.support.depots import NOW
from tests.support.enclaves import V1, V2, V3

PATIENCE = 60  # seconds
MODEL, GUARD = ("base", "model.safetensors"), ("guard", "guard.safetensors")
SETS = {(v["base"][MODEL[1]], v["guard"][GUARD[1]]) for v in (V1, V2, V3)}

Step = Callable[[Enclave, int], object]


def switch(place: Enclave, number: int) -> object:
    """Activate one release after the other, and roll back now and then."""
    if number % 3 == 2:
        return roll_back(place, operator=enclaves.operator())
    return activate(place, f"assistant@{(1, 3)[number % 3]}", operator=enclaves.operator())


def bring_in(place: Enclave, number: int) -> object:
    """Import a bundle: two that are new, then all of them again."""
    paths = enclaves.world().bundles[("next", "last", "full")[number % 3]]
    return import_bundle(place, paths, operator=enclaves.operator())


def collect(place: Enclave, _number: int) -> object:
    """Collect all garbage that there is."""
    return collect_garbage(place, 1, operator=enclaves.operator())


def check(place: Enclave, _number: int) -> object:
    """Digest everything at rest."""
    return check_content(place)


def ask(place: Enclave, number: int) -> object:
    """Ask what only reads the ledger and documents."""
    questions: tuple[Callable[[], object], ...] = (
        lambda: enclave_status(place, NOW),
        lambda: list_releases(place),
        lambda: find_changes(place, "assistant@1"),
        lambda: verify_ledger(place, public_key=None),
    )
    return questions[number % 4]()


ROLES: dict[Step, int] = {switch: 9, bring_in: 3, collect: 4, check: 4, ask: 8}
"""How often each is done; what is busy is tried again."""


def work(place: Enclave, step: Step, times: int) -> Counter[str]:
    """Do a step so many times; return how it ended, by the code of errors."""
    ends: Counter[str] = Counter()
    until = time.monotonic() + PATIENCE
    while ends.total() - ends["busy"] < times and time.monotonic() < until:
        try:
            step(place, ends.total() - ends["busy"])
            ends["done"] += 1
        except AirliftError as error:
            ends[error.code] += 1
            time.sleep(0.01)
    return ends


@contextmanager
def processes(place: Enclave) -> Iterator[dict[Step, tuple[int, Path]]]:
    """Let every role work in a process of its own, which writes how its steps ended; wait for all."""
    begun: dict[Step, tuple[int, Path]] = {}
    for step, times in ROLES.items():
        log = place.folder.with_name(f"{step.__name__}.txt")
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # newer Pythons warn of threads, here idle ones
            child = os.fork()
        if not child:
            try:
                ends = work(place, step, times)
                log.write_text("\n".join(f"{count} {code}" for code, count in ends.items()))
            except BaseException:
                log.write_text(traceback.format_exc())
                raise
            finally:
                os._exit(0)
        begun[step] = child, log
    yield begun
    for child, _ in begun.values():
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def running(child: int) -> bool:
    """Say whether a process has not ended yet."""
    try:
        return os.waitpid(child, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False


def look(place: Enclave) -> tuple[bytes, bytes] | None:
    """Return the set behind ``active``: one file opened at once, one later, and the first one read last.

    None if the folder was collected before the second one was opened: then it is not there at all.
    """
    folder = os.open(place.active, os.O_RDONLY | os.O_DIRECTORY)
    try:
        first = os.open("/".join(MODEL), os.O_RDONLY, dir_fd=folder)
        try:
            time.sleep(0.01)
            second = os.open("/".join(GUARD), os.O_RDONLY, dir_fd=folder)
            try:
                return _all(first), _all(second)
            finally:
                os.close(second)
        finally:
            os.close(first)
    except FileNotFoundError:
        return None
    finally:
        os.close(folder)


def _all(descriptor: int) -> bytes:
    return files.read_at(descriptor, 0, os.fstat(descriptor).st_size)


def test_all_of_them_beside_each_other(tmp_path: Path) -> None:
    """Each ends as if it were alone, or is told that another one works; servers see one set or the other."""
    place = enclaves.enclave("two", tmp_path)
    seen: Counter[tuple[bytes, bytes] | None] = Counter()
    with processes(place) as begun:
        while any(running(child) for child, _ in begun.values()):
            seen[look(place)] += 1
    ends = {step.__name__: log.read_text().splitlines() for step, (_, log) in begun.items()}
    assert set(seen) - {None} <= SETS, "a mixture"
    assert len(set(seen) - {None}) >= 2, "nothing was switched"
    allowed = {"switch": {"release-not-held"}, "bring_in": {"baseline-not-held"}}
    for name, lines in ends.items():
        codes = {line.split()[-1]: int(line.split()[0]) for line in lines}
        assert set(codes) <= {"done", "busy"} | allowed.get(name, set()), ends
        assert codes["done"], ends
        assert sum(codes.values()) - codes.get("busy", 0) == next(
            n for s, n in ROLES.items() if s.__name__ == name
        )
    check_content(place)
    verify_ledger(place, public_key=None)


READERS: dict[str, Callable[[Enclave], object]] = {
    "status": lambda place: enclave_status(place, NOW),
    "receipt": lambda place: print_receipt(place, now=NOW),
    "plan": lambda place: plan_import(place, enclaves.world().bundles["last"], NOW),
    "prove": lambda place: prove_bundle(place, enclaves.world().bundles["last"], NOW),
}


@pytest.mark.parametrize("reader", READERS)
def test_what_was_read_of_two_states_is_read_again(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broke: the trust state that another import had replaced and removed was taken for a damaged one (exit 3)."""
    place = enclaves.enclave("one", tmp_path)
    import_bundle(place, enclaves.world().bundles["next"], operator=enclaves.operator())
    usual, looks = Enclave.load_trust, list[int]()

    def load_trust(self: Enclave, state: State) -> Mapping[str, bytes]:
        looks.append(state.size)
        if len(looks) == 1:
            import_bundle(place, enclaves.world().bundles["uncut"], operator=enclaves.operator())
            looks[1:] = []
        return usual(self, state)

    monkeypatch.setattr(Enclave, "load_trust", load_trust)
    found = READERS[reader](place)
    assert looks[0] < looks[-1] == place.state().size
    monkeypatch.undo()
    assert READERS[reader](place) == found


def test_what_changes_all_the_time_is_busy(tmp_path: Path) -> None:
    place, times = enclaves.enclave("two", tmp_path), list[int]()

    def read(_state: State) -> None:
        activate(place, f"assistant@{1 + len(times) % 2}", operator=enclaves.operator())
        times.append(1)
        raise TrustStateError("seen half of it")

    with pytest.raises(BusyError, match="is being changed all the time"):
        place.look(read)
    assert len(times) == MAX_LOOKS


def test_what_is_wrong_and_stays_so_is_told(tmp_path: Path) -> None:
    place, times = enclaves.enclave("one", tmp_path), list[int]()

    def read(_state: State) -> None:
        times.append(1)
        raise TrustStateError("it is so")

    with pytest.raises(TrustStateError, match="it is so"):
        place.look(read)
    assert len(times) == 1


def test_what_is_checked_is_not_collected(tmp_path: Path) -> None:
    """Garbage collection between two files of a check is refused, and works once the check has ended."""
    place = enclaves.enclave("one", tmp_path)
    import_bundle(place, enclaves.world().bundles["next"], operator=enclaves.operator())
    import_bundle(place, enclaves.world().bundles["last"], operator=enclaves.operator())
    before, tried = enclaves.served(place), []

    def collecting(_what: str, _done: int, _total: int) -> None:
        with pytest.raises(BusyError, match="is being read by another airlift command"):
            collect(place, 0)
        assert collect_garbage(place, 1, operator=enclaves.operator(), dry_run=True).removed
        tried.append(1)

    check_content(place, collecting)
    repair(
        place,
        enclaves.world().bundles["full"],
        operator=enclaves.operator(),
        progress=collecting,
        dry_run=True,
    )
    assert tried
    assert enclaves.served(place) == before
    assert collect_garbage(place, 1, operator=enclaves.operator()).removed
    check_content(place)


def test_what_is_collected_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclaves.enclave("two", tmp_path)
    import_bundle(place, enclaves.world().bundles["next"], operator=enclaves.operator())
    usual, tried = files.remove, []

    def removing(path: Path) -> None:
        for reader in (check, lambda place, _n: find_changes(place, "assistant@2", tensors=True)):
            with pytest.raises(BusyError, match="is being cleared of garbage by another airlift command"):
                reader(place, 0)
        ask(place, 0)
        tried.append(path)
        usual(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", removing)
        activate(place, "assistant@3", operator=enclaves.operator())
        activate(place, "assistant@2", operator=enclaves.operator())
        collect(place, 0)
    assert tried
    check_content(place)


def test_readers_do_not_wait_for_each_other(tmp_path: Path) -> None:
    place = enclaves.enclave("one", tmp_path)
    with place.reading(), place.reading():
        check_content(place)
        import_bundle(place, enclaves.world().bundles["next"], operator=enclaves.operator(), activate=True)


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be locked is read all the same; what fails otherwise is told."""
    place = enclaves.enclave("one", tmp_path)

    def failing(number: int) -> None:
        def flock(_descriptor: int, _kind: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)

    failing(95)
    check_content(place)
    failing(5)
    with pytest.raises(AirliftError, match="cannot lock"):
        check_content(place)
    with files.in_use(tmp_path / "nothing", alone=True):
        pass
