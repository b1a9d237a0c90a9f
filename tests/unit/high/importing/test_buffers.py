"""Memory that is lent: the same again, never to two at once, and never more of it idle than is said."""

from concurrent.futures import ThreadPoolExecutor

from airlift.high.importing.buffers import IDLE_BYTES, SMALL_BYTES, Buffers

LENGTH = 3 << 20


def test_what_was_given_back_is_lent_again() -> None:
    buffers = Buffers()
    first, second = buffers.take(LENGTH), buffers.take(LENGTH)
    assert (len(first.data), first.whole is second.whole) == (LENGTH, False)
    buffers.give_back(first)
    again = buffers.take(LENGTH - 1000)
    assert again.whole is first.whole
    assert len(again.data) == LENGTH - 1000
    assert buffers.take(LENGTH).whole is not second.whole


def test_what_is_idle_is_bounded() -> None:
    buffers = Buffers()
    for lent in [buffers.take(LENGTH) for _ in range(40)]:
        buffers.give_back(lent)
    assert buffers._bytes <= IDLE_BYTES
    assert sum(len(one) for kept in buffers._idle.values() for one in kept) == buffers._bytes


def test_little_is_not_kept() -> None:
    buffers = Buffers()
    for length in (0, 1, SMALL_BYTES):
        lent = buffers.take(length)
        assert len(lent.data) == length
        buffers.give_back(lent)
    assert buffers._bytes == 0


def test_no_two_threads_have_the_same() -> None:
    buffers = Buffers()

    def use(number: int) -> bool:
        lent = buffers.take(LENGTH)
        lent.data[:8] = number.to_bytes(8, "big")
        same = bytes(lent.data[:8]) == number.to_bytes(8, "big")
        buffers.give_back(lent)
        return same

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))
