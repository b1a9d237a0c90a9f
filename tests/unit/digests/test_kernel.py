"""SHA-512 side by side: as OpenSSL says it, checked before its first use, left alone when it is wrong."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift import digests
from airlift.digests import kernel, reference
from airlift.digests.kernel import compiled as lanes
from airlift.digests.kernel import selftest
from airlift.kernels import Choice
from tests.support.compiled import counted_meanwhile, needing

NAMES = kernel.names()
ORIGINAL = kernel.KERNELS.module
needs_path = needing(NAMES)
STATE = bytes(8 * 8 * lanes.LANES)


def compiled() -> ModuleType:
    assert ORIGINAL is not None
    return ORIGINAL


def messages(count: int, length: int) -> list[bytes]:
    return [np.random.default_rng(lane).bytes(length) for lane in range(count)]


def digested(using: kernel.Kernel, given: Sequence[bytes], cuts: Sequence[int] = ()) -> list[str]:
    """Return the digests of messages that come in parts."""
    running, length = using.start(len(given)), len(given[0])
    ends = sorted({*(cut % (length + 1) for cut in cuts), length})
    for start, end in zip([0, *ends], ends, strict=False):
        running.feed([memoryview(message)[start:end] for message in given])
    return running.finish()


def right(given: Sequence[bytes]) -> list[str]:
    return [hashlib.sha512(message).hexdigest() for message in given]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", range(1, digests.MOST + 1))
def test_every_length_around_two_steps(name: str, count: int) -> None:
    for length in range(270):
        given = messages(count, length)
        assert digested(kernel.get(name), given) == right(given), length


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(1, 4), st.integers(0, 3000), st.lists(st.integers(0, 3000), max_size=9))
def test_messages_come_in_any_parts(name: str, count: int, length: int, cuts: list[int]) -> None:
    given = messages(count, length)
    assert digested(kernel.get(name), given, cuts) == right(given)


@pytest.mark.parametrize("name", NAMES)
def test_a_million_letters(name: str) -> None:
    """The long example of the standard (FIPS 180-2, C.3)."""
    found = digested(kernel.get(name), [b"a" * 1_000_000] * 4, [777, 500_001])
    long = (
        "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31b"
        "eb009c5c2c49aa2e4eadb217ad8cc09b"
    )
    assert found == [long] * 4


@pytest.mark.parametrize("name", NAMES)
def test_messages_may_lie_anywhere(name: str) -> None:
    given = messages(4, 1000)
    moved = [memoryview(bytes(place + 1) + message)[place + 1 :] for place, message in enumerate(given)]
    running = kernel.get(name).start(4)
    running.feed(moved)
    assert running.finish() == right(given)


@needs_path
@pytest.mark.parametrize("count", [0, 5, -1])
def test_too_few_or_too_many_messages(count: int) -> None:
    with pytest.raises(ValueError, match="too few or too many"):
        kernel.get(NAMES[0]).start(count)


@needs_path
def test_messages_of_other_lengths_are_refused() -> None:
    for wrong in ([b"ab", b"a"], [b"ab"], [b"ab"] * 3):
        with pytest.raises(ValueError, match="other lengths"):
            kernel.get(NAMES[0]).start(2).feed([memoryview(message) for message in wrong])


@needs_path
def test_the_compiled_kernel_checks_what_it_is_given() -> None:
    four, state = (bytes(128),) * 4, bytearray(STATE)
    for wrong, message in (
        (("abacus", state, four), "no such path"),
        ((NAMES[0], bytearray(STATE[1:]), four), "another length"),
        ((NAMES[0], state, four[:3]), "too few or too many"),
        ((NAMES[0], state, four * 2), "too few or too many"),
        ((NAMES[0], state, (*four[:3], bytes(256))), "not of one length"),
        ((NAMES[0], state, (bytes(127),) * 4), "in whole steps"),
    ):
        with pytest.raises(ValueError, match=message):
            compiled().advance(*wrong)
    for kind in ((NAMES[0], STATE, four), (NAMES[0], state, list(four)), (NAMES[0], state, ("text",) * 4)):
        with pytest.raises((TypeError, BufferError)):
            compiled().advance(*kind)
    assert state == STATE


@needs_path
def test_what_was_given_is_let_go_whatever_happens() -> None:
    """A buffer that is not released can never be resized again."""
    held, state = bytearray(128), bytearray(STATE)
    for wrong in (
        (NAMES[0], state, (held,) * 4),
        (NAMES[0], state, (held,) * 3),
        ("abacus", state, (held,) * 4),
        (NAMES[0], state, (held, held, held, "text")),
    ):
        try:
            compiled().advance(*wrong)
        except (ValueError, TypeError):
            held.append(0)
            del held[-1]
        state.append(0)
        del state[-1]
    held.clear()


# -- the choice ------------------------------------------------------------------------------------------------------


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what puts a spoilt module in place, as if the process had just started."""

    def put(**functions: Callable[..., Any]) -> None:
        class Spoilt:
            def __getattr__(self, name: str) -> Any:
                return functions.get(name) or getattr(compiled(), name)

        monkeypatch.setattr(kernel.KERNELS, "module", cast("ModuleType", Spoilt()))
        monkeypatch.setattr(kernel.KERNELS, "_choice", None)

    return put


def other_bit(path: str, state: bytearray, members: tuple[Any, ...]) -> None:
    compiled().advance(path, state, members)
    state[-1] ^= 1


def nothing(*given: Any) -> None:
    """Go on with nothing."""


def old_arguments(path: str) -> None:
    raise AssertionError


def refuses(*given: Any) -> None:
    raise ValueError("this machine has no such path")


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_gives_the_known_answer(name: str) -> None:
    assert selftest.passes(kernel.get(name))


@needs_path
@pytest.mark.parametrize("function", [other_bit, nothing, old_arguments, refuses])
def test_a_kernel_that_is_wrong_is_not_used(function: Callable[..., Any], spoil: Callable[..., None]) -> None:
    spoil(advance=function)
    assert kernel.chosen() == Choice(reference, refused=NAMES[0])
    assert digests.width() == 1
    given = messages(3, 500)
    assert digested(kernel.default(), given) == right(given)


@needs_path
def test_the_path_that_was_asked_for_is_the_one_that_is_used(spoil: Callable[..., None]) -> None:
    for wanted in NAMES:
        spoil(wanted=lambda wanted=wanted: wanted)
        assert kernel.default().name == wanted
    assert digests.width() == 1, "openssl is the last of them"


@needs_path
def test_openssl_alone_is_used_while_it_is_in_fips_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert digests.width() == lanes.LANES
    monkeypatch.setattr(kernel, "get_fips_mode", lambda: 1)
    assert digests.width() == 1
    assert isinstance(digests.start(4), reference.Chains)


def test_without_the_compiled_part_openssl_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel.KERNELS, "module", None)
    monkeypatch.setattr(kernel.KERNELS, "_choice", None)
    assert kernel.names() == ["openssl"]
    assert digests.width() == 1
    given = messages(2, 300)
    assert digested(kernel.default(), given) == right(given)


# -- threads ---------------------------------------------------------------------------------------------------------


def test_threads_do_not_disturb_each_other() -> None:
    given = messages(4, 300_000)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: digested(kernel.default(), given, [1000, 123_457]), range(16)))
    assert results == [right(given)] * 16


@needs_path
def test_the_interpreter_goes_on_meanwhile() -> None:
    members, state = (bytes(64 << 20),) * 4, bytearray(STATE)
    assert counted_meanwhile(compiled().advance, NAMES[-2], state, members) > 10
