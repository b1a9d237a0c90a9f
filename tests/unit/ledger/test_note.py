"""Notes and checkpoints: one spelling, real signatures, foreign lines ignored."""

import base64
import hashlib

import pytest

from airlift.errors import AirliftError, LedgerError, MalformedError, SignatureError
from airlift.ledger import checkpoint, note
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.note import Note, Signature
from airlift.trust.keys.file import FileSigner, generate
from airlift.trust.keys.public import SCHEMES

ORIGIN = "airlift/alpha"
ROOT = bytes(range(48))


@pytest.fixture(scope="module", params=SCHEMES)
def signer(request: pytest.FixtureRequest) -> FileSigner:
    return generate(request.param)


@pytest.fixture(scope="module")
def data(signer: FileSigner) -> bytes:
    return checkpoint.sign(Checkpoint(ORIGIN, 7, ROOT), signer)


def test_a_checkpoint_reads_as_c2sp_says(data: bytes, signer: FileSigner) -> None:
    text, _, tail = data.decode().partition("\n\n")
    assert text.split("\n") == [ORIGIN, "7", base64.b64encode(ROOT).decode()]
    dash, name, encoded = tail.rstrip("\n").split(" ")
    assert (dash, name) == ("—", ORIGIN)
    raw = base64.b64decode(encoded)
    identifier = f"airlift-{signer.public.scheme}".encode()
    expected = hashlib.sha256(ORIGIN.encode() + b"\n\xff" + identifier + signer.public.spki).digest()[:4]
    assert raw[:4] == expected
    signer.public.verify(raw[4:], text.encode() + b"\n")


def test_a_checkpoint_verifies(data: bytes, signer: FileSigner) -> None:
    assert checkpoint.verify(data, ORIGIN, signer.public) == Checkpoint(ORIGIN, 7, ROOT)
    assert note.format(note.parse(data)) == data


def test_another_key_or_log_does_not_verify(data: bytes, signer: FileSigner) -> None:
    """THREATS, against the record: a checkpoint for another log."""
    with pytest.raises(SignatureError):
        checkpoint.verify(data, ORIGIN, generate(signer.public.scheme).public)
    with pytest.raises(SignatureError):
        checkpoint.verify(data, "airlift/beta", signer.public)
    text = checkpoint.format(Checkpoint("airlift/beta", 7, ROOT))
    misnamed = note.format(note.sign(text, ORIGIN, signer))
    with pytest.raises(LedgerError, match="another log"):
        checkpoint.verify(misnamed, ORIGIN, signer.public)


def test_witnesses_add_lines_that_others_ignore(data: bytes, signer: FileSigner) -> None:
    witness = generate("ecdsa-p384")
    twice = checkpoint.countersign(data, "airlift/alpha/witness", witness)
    assert twice != data
    assert checkpoint.countersign(twice, "airlift/alpha/witness", witness) == twice
    assert checkpoint.verify(twice, ORIGIN, signer.public).size == 7
    signed = note.parse(twice)
    assert note.signed_by(signed, witness.public) == ("airlift/alpha/witness",)
    assert note.signed_by(signed, generate("ecdsa-p384").public) == ()
    with pytest.raises(LedgerError):
        checkpoint.countersign(data, ORIGIN, witness)


def test_one_bad_line_of_a_known_key_spoils_the_note(data: bytes, signer: FileSigner) -> None:
    signed = note.parse(data)
    bad = Signature(ORIGIN, note.key_id(ORIGIN, signer.public), b"forged")
    doctored = note.format(Note(signed.text, (*signed.signatures, bad)))
    with pytest.raises(SignatureError):
        checkpoint.verify(doctored, ORIGIN, signer.public)
    with pytest.raises(SignatureError):
        note.signed_by(note.parse(doctored), signer.public)


LINE = "— name AAAAAAA=\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        "text\n\n",
        "\n\n" + LINE,
        "\ntext\n\n" + LINE,
        "te\rxt\n\n" + LINE,
        "text\n\n" + LINE[:-1],
        "text\n\n" + LINE + "\n",
        "text\n\n" + LINE + "x",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n— nameAAAAAAA=\n",
        "text\n\n— na+me AAAAAAA=\n",
        "text\n\n— na\u2003me AAAAAAA=\n",
        "text\n\n—  AAAAAAA=\n",
        "text\n\n— name AAAAAAB=\n",
        "text\n\n— name AAAAAA\n",
        "text\n\n— name AAAAAA==\n",
        "text\n\n— name AA!AAAAA=\n",
        "text\n\n— name AAA\n",
        "text\n\n— " + "n" * 256 + " AAAAAAA=\n",
        "text\n\n" + LINE * 33,
    ],
)
def test_malformed_notes(text: str) -> None:
    with pytest.raises(MalformedError):
        note.parse(text.encode())


def test_bounds_and_encoding() -> None:
    assert note.parse(("text\n\n" + LINE * 16).encode()).text == "text\n"
    assert note.parse(("one\n\ntwo\n\n" + LINE).encode()).text == "one\n\ntwo\n"
    with pytest.raises(MalformedError, match="too long"):
        note.parse(b"x" * (note.MAX_BYTES + 1))
    with pytest.raises(MalformedError, match="UTF-8"):
        note.parse(b"\xff\n\n" + LINE.encode())
    with pytest.raises(MalformedError):
        note.format(Note("text\n", ()))
    with pytest.raises(MalformedError, match="too long"):
        note.format(Note("x" * note.MAX_BYTES + "\n", (Signature("name", b"0123", b"s"),)))


@pytest.mark.parametrize(
    "text",
    [
        "airlift/alpha\n7\n",
        "alpha\n7\n" + "A" * 64 + "\n",
        "airlift/al pha\n7\n" + "A" * 64 + "\n",
        "airlift/alpha\n07\n" + "A" * 64 + "\n",
        "airlift/alpha\n-7\n" + "A" * 64 + "\n",
        "airlift/alpha\n\u0667\n" + "A" * 64 + "\n",
        "airlift/alpha\n9007199254740992\n" + "A" * 64 + "\n",
        "airlift/alpha\n7\n" + "A" * 60 + "\n",
        "airlift/alpha\n7\n" + "A" * 63 + "\n",
        "airlift/alpha\n7\n" + "A" * 63 + "!\n",
        "airlift/alpha\n7\n" + "A" * 64 + "!\n",
        "airlift/alpha\n7\n" + "A" * 64 + "\nextension\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(MalformedError):
        checkpoint.parse(text)


def test_origins() -> None:
    assert checkpoint.origin_of("alpha") == ORIGIN
    for name in ("", "a b", "a\nb", "ä", "x" * 65, "../x"):
        with pytest.raises(MalformedError):
            checkpoint.origin_of(name)


def test_every_flipped_bit_of_a_signed_checkpoint_is_found(data: bytes, signer: FileSigner) -> None:
    for place in range(0, len(data), 1 if len(data) < 500 else 23):
        doctored = bytearray(data)
        doctored[place] ^= 1 << (place % 8)
        with pytest.raises(AirliftError) as caught:
            checkpoint.verify(bytes(doctored), ORIGIN, signer.public)
        assert caught.value.exit_code == 3
