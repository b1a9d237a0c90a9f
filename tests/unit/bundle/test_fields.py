"""The vocabulary of all documents: digests, names, times, counts, markings."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airlift.bundle import fields
from airlift.bundle.fields import FileDigest, Marking
from airlift.errors import FormatTooNewError, MalformedError


@pytest.mark.parametrize("text", ["0" * 8, "deadbeef", "01234567"])
def test_hex_is_lower_case_and_of_one_length(text: str) -> None:
    assert fields.is_hex(text, 8)
    assert not fields.is_hex(text, 9)


@pytest.mark.parametrize(
    "text", ["", "DEADBEEF", "0x000000", "0000000g", " 0000000", "\u0660" * 8, 12345678, None]
)
def test_other_text_is_no_hex(text: object) -> None:
    """Chunk digests in another case are not digests."""
    assert not fields.is_hex(text, 8)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00Z", "0999-12-31T23:59:59Z", "2026-03-01T12:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_times_round_trip(text: str) -> None:
    assert fields.format_time(fields.parse_time(text)) == text
    assert fields.parse_time(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.0Z",
        "2026-03-01t12:00:00z",
        "2026-02-29T12:00:00Z",
        "2026-00-01T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:00:60Z",
        "2026-03-01T12:00:61Z",
        " 2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00Z\n",
        "\u0662026-03-01T12:00:00Z",
        "\uff12026-03-01T12:00:00Z",
    ],
)
def test_other_times_are_malformed(text: str) -> None:
    with pytest.raises(MalformedError, match="is not a time"):
        fields.time({"t": text}, "t", "thing")


def test_times_are_rounded_down_and_in_utc() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 999999, timezone(timedelta(hours=2)))
    assert fields.format_time(moment) == "2026-03-01T10:00:00Z"
    assert fields.parse_time("2026-03-01T10:00:00Z") == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "two\nlines", "caf\u00e9", "x" * fields.MAX_TEXT])
def test_text_is_printable(text: str) -> None:
    assert fields.text({"t": text}, "t", "thing") == text


@pytest.mark.parametrize(
    "text",
    ["\x00", "\t", "\r\n", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\u202e", "\u2066", "\ufeff", "x" * 4097],
)
def test_control_and_bidirectional_characters_are_no_text(text: str) -> None:
    with pytest.raises(MalformedError, match="control characters"):
        fields.text({"t": text}, "t", "thing")


def test_counts_keep_their_bounds() -> None:
    document = {"n": 5}
    assert fields.count(document, "n", "thing", least=5, most=5) == 5
    for least, most in ((6, 9), (0, 4)):
        with pytest.raises(MalformedError, match="out of range") as caught:
            fields.count(document, "n", "thing", least=least, most=most)
        assert (caught.value.expected, caught.value.found) == (f"{least} to {most}", "5")


def test_names_are_matched_whole() -> None:
    assert fields.name({"n": "alpha-1"}, "n", "thing", fields.ENCLAVE_NAME) == "alpha-1"
    for text in ("", "alpha\n", "alpha/..", "\u0430lpha"):
        with pytest.raises(MalformedError, match="not a valid name"):
            fields.name({"n": text}, "n", "thing", fields.ENCLAVE_NAME)


def test_an_envelope_from_the_future_is_too_new_rather_than_malformed() -> None:
    with pytest.raises(FormatTooNewError) as caught:
        fields.check_header({"airlift": 2, "novel": 1}, "bundle", frozenset(), "thing")
    assert (caught.value.exit_code, caught.value.expected, caught.value.found) == (7, "1", "2")
    good = {"airlift": 1, "type": "bundle", "a": 1}
    assert fields.check_header(good, "bundle", frozenset("a"), "thing") is good


def test_a_file_digest_round_trips() -> None:
    item = FileDigest("0" * 128, 2**53 - 1)
    assert FileDigest.from_json(item.to_json(), "thing") == item


def test_markings_read_like_portion_marks() -> None:
    assert str(Marking("SECRET", ("NOFORN", "ORCON"))) == "SECRET//NOFORN//ORCON"
    assert str(Marking("UNCLASSIFIED")) == "UNCLASSIFIED"


@pytest.mark.parametrize("marking", [Marking("A"), Marking("TOP SECRET", ("B", "C")), Marking("~!" * 32)])
def test_markings_round_trip(marking: Marking) -> None:
    assert Marking.from_json(marking.to_json(), "thing") == marking


@pytest.mark.parametrize(
    "words", [["B", "A"], ["A", "A"], [1], [["A"]], [None], ["A/B"], ["A\n"], [""], ["x" * 65]]
)
def test_caveats_are_sorted_distinct_printable_words(words: list[Any]) -> None:
    with pytest.raises(MalformedError):
        Marking.from_json({"level": "A", "caveats": words}, "thing")


@pytest.mark.parametrize(
    ("above", "below", "covers"),
    [
        (Marking("SECRET"), Marking("CUI"), True),
        (Marking("CUI"), Marking("SECRET"), False),
        (Marking("SECRET"), Marking("SECRET"), True),
        (Marking("COSMIC"), Marking("COSMIC"), True),
        (Marking("COSMIC"), Marking("UNCLASSIFIED"), False),
        (Marking("TOP SECRET"), Marking("COSMIC"), False),
        (Marking("SECRET", ("A", "B")), Marking("SECRET", ("B",)), True),
        (Marking("TOP SECRET"), Marking("SECRET", ("B",)), False),
        (Marking("secret"), Marking("CUI"), False),
        (Marking("CUI", ("REL TO USA",)), Marking("CUI"), True),
        (Marking("CUI"), Marking("CUI", ("REL TO USA",)), False),
        (Marking("CUI", ("REL TO USA",)), Marking("CUI", ("REL TO USA, GBR",)), True),
        (Marking("CUI", ("REL TO USA, GBR",)), Marking("CUI", ("REL TO USA",)), False),
        (Marking("CUI", ("REL TO GBR", "REL TO USA")), Marking("CUI", ("REL TO USA,GBR",)), True),
        (Marking("CUI", ("REL TO NONE",)), Marking("CUI", ("REL TO USA",)), True),
        (Marking("CUI", ("A", "REL TO USA")), Marking("SECRET", ("REL TO USA",)), False),
    ],
)
def test_a_marking_covers_what_is_not_above_it(above: Marking, below: Marking, covers: bool) -> None:
    assert above.covers(below) is covers


def test_markings_join_to_the_lowest_that_covers_all() -> None:
    low, high = Marking("CUI", ("A",)), Marking("SECRET", ("B",))
    assert fields.join([low, high]) == Marking("SECRET", ("A", "B"))
    assert fields.join([low]) == low
    assert fields.join([Marking("COSMIC"), Marking("COSMIC", ("A",))]) == Marking("COSMIC", ("A",))
    assert fields.join([Marking("COSMIC"), low]) is None
    joined = fields.join([low, high])
    assert joined is not None
    assert all(joined.covers(marking) for marking in (low, high))


@pytest.mark.parametrize(
    ("one", "other", "caveats"),
    [
        (("REL TO USA, GBR",), (), ("REL TO USA, GBR",)),
        (("REL TO USA, GBR",), ("NOFORN", "REL TO GBR, CAN"), ("NOFORN", "REL TO GBR")),
        (("REL TO USA, GBR",), ("REL TO CAN, GBR, USA",), ("REL TO USA, GBR",)),
        (("REL TO A, B, C",), ("REL TO B, C, D",), ("REL TO B", "REL TO C")),
        (("REL TO USA",), ("REL TO GBR",), ("REL TO NONE",)),
    ],
)
def test_caveats_that_admit_join_to_whom_all_admit(
    one: tuple[str, ...], other: tuple[str, ...], caveats: tuple[str, ...]
) -> None:
    joined = fields.join([Marking("CUI", one), Marking("CUI", other)])
    assert joined == Marking("CUI", caveats)
    assert joined.covers(Marking("CUI", one))
    assert joined.covers(Marking("CUI", other))


@pytest.mark.parametrize(
    ("marking", "reason"),
    [
        ("SECRET//NOFORN", None),
        ("CUI", None),
        ("SECRET//REL TO USA, GBR", None),
        ("TOP SECRET", "is above the ceiling"),
        ("COSMIC", "is of a level that is unknown here"),
        ("CUI//ORCON", "has caveats beyond the ceiling's"),
        ("CUI//REL TO GBR", "admits nobody whom the ceiling names"),
        ("CUI//REL TO NONE", "admits nobody whom the ceiling names"),
        ("CUI//REL TO GBR,", "admits nobody whom the ceiling names"),
        ("CUI//REL TO , USA", None),
    ],
)
def test_what_a_ceiling_lets_in(marking: str, reason: str | None) -> None:
    ceiling = Marking.from_text("SECRET//NOFORN//REL TO USA, CAN")
    assert Marking.from_text(marking).beyond(ceiling, fields.LEVELS) == reason
    plain = Marking("SECRET")
    if "REL TO" in marking:
        assert (
            Marking.from_text(marking).beyond(plain, fields.LEVELS) == "admits nobody whom the ceiling names"
        )


def test_a_slip_of_the_comma_admits_nobody() -> None:
    """Two lists that end in a comma had a name in common: the empty one."""
    french, british = Marking("CUI", ("REL TO FRA,",)), Marking("CUI", ("REL TO GBR,",))
    assert french.beyond(british, fields.LEVELS) == "admits nobody whom the ceiling names"
    assert fields.join([french, british]) == Marking("CUI", ("REL TO NONE",))
    assert not french.covers(british)
    assert Marking("CUI", ("REL TO ",)).admitted == frozenset()


def test_a_marking_is_read_as_people_write_it() -> None:
    assert Marking.from_text("SECRET//REL TO USA//NOFORN") == Marking("SECRET", ("NOFORN", "REL TO USA"))
    for text in ("", "SECRET//", "//NOFORN", "A/B", "SECRET//\n"):
        with pytest.raises(MalformedError):
            Marking.from_text(text)
