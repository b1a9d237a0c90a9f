"""ML-DSA-87 beside dilithium-py, which shares nothing with ours: both accept and refuse alike (SPEC 4.1).

What is signed stands in the four forms that airlift knows; the other side reads each from its own specification.
"""

import base64
import json
import os
import random
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import AirliftError
from airlift.ledger import checkpoint
from airlift.ledger.checkpoint import Checkpoint
from airlift.trust.keys.file import generate, write_key_pair
from airlift.trust.keys.load import load_signer
from airlift.trust.keys.public import ECDSA_P384, PublicKey, Signer
from airlift.trust.statements import dsse
from airlift.trust.tuf import change, metadata, roles, root
from airlift.trust.tuf.roles import Member, RoleKeys

OTHER = Path(__file__).with_name("dilithium.py")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORIGIN = "airlift/alpha"
TYPE = "application/vnd.in-toto+json"
TEXT = checkpoint.format(Checkpoint(ORIGIN, 2, bytes(48)))
FLIPS = 60

Ask = Callable[[list[dict[str, Any]]], list[Any]]


@pytest.fixture(scope="module")
def ask(require_tool: Callable[[str], str]) -> Ask:
    """Return a function that puts questions to dilithium-py."""
    python = require_tool(os.environ.get("AIRLIFT_VECTORS", "airlift-vectors-python"))

    def answers(questions: list[dict[str, Any]]) -> list[Any]:
        text = "".join(json.dumps(question) + "\n" for question in questions)
        done = subprocess.run([python, str(OTHER)], input=text, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return answers


def root_of(key: PublicKey) -> dict[str, Any]:
    """Return a root, not yet signed, of which one key is every member."""
    members = RoleKeys((Member(key, "somebody"),), 1)
    return change.genesis_root(dict.fromkeys(metadata.TOP_LEVEL, members), change.EXPIRY_DAYS, NOW)


def ours(signer: Signer) -> dict[str, bytes]:
    """Return a document of each kind that airlift signed."""
    signed = roles.sign(root_of(signer.public), signer)
    return {
        "bare": signer.sign(b"message") + b"message",
        "tuf": json.dumps(signed).encode(),
        "note": checkpoint.sign(Checkpoint(ORIGIN, 2, bytes(48)), signer),
        "dsse": dsse.format(dsse.sign(TYPE, b"{}", signer)),
    }


def accepts(kind: str, data: bytes, key: PublicKey) -> bool:
    """Say whether airlift finds a document signed by a key."""
    try:
        if kind == "bare":
            key.verify(data[:4627], data[4627:])
        elif kind == "tuf":
            return root.verify_self_signed(data).roles["root"].members[0].key == key
        elif kind == "note":
            checkpoint.verify(data, ORIGIN, key)
        else:
            return dsse.signed_by(dsse.parse(data), [key]) == (key,)
    except AirliftError:
        return False
    return True


def question(kind: str, data: bytes, key: PublicKey) -> dict[str, Any]:
    return {
        "verify": kind,
        "key": key.pem().decode(),
        "data": base64.b64encode(data).decode(),
        "name": ORIGIN if kind == "note" else TYPE,
    }


def changed(kind: str, data: bytes) -> bytes:
    """Return a document in which what is signed says something else."""
    old, new = {
        "bare": (b"message", b"Message"),
        "tuf": (b'"version": 1', b'"version": 2'),
        "note": (b"\n2\n", b"\n3\n"),
        "dsse": (base64.b64encode(b"{}"), base64.b64encode(b"[]")),
    }[kind]
    assert data.count(old) == 1
    return data.replace(old, new)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Return a key that was written to a file and read back."""
    private, _ = write_key_pair(generate(), tmp_path_factory.mktemp("keys"), "ada", b"secret")
    return load_signer(str(private), lambda _: b"secret")


def test_what_airlift_signs_is_accepted_by_the_other(ask: Ask, signer: Signer) -> None:
    documents = ours(signer)
    assert ask([question(kind, data, signer.public) for kind, data in documents.items()]) == [True] * 4


def test_what_was_changed_is_refused_by_both(ask: Ask, signer: Signer) -> None:
    other = generate().public
    asked = [(kind, changed(kind, data), signer.public) for kind, data in ours(signer).items()]
    asked += [(kind, data, other) for kind, data in ours(signer).items()]
    assert ask([question(*item) for item in asked]) == [False] * 8
    assert [accepts(*item) for item in asked] == [False] * 8


def test_what_the_other_signs_is_accepted_and_its_changes_are_not(ask: Ask) -> None:
    seed = bytes(range(32)).hex()
    (bare,) = ask([{"make": "bare", "seed": seed, "data": base64.b64encode(b"message").decode()}])
    key = PublicKey.from_pem(bare["key"].encode())
    signed = json.dumps(root_of(key)["signed"]).encode()
    wanted = {
        "bare": (b"message", ""),
        "tuf": (signed, ""),
        "note": (TEXT.encode(), ORIGIN),
        "dsse": (b"{}", TYPE),
    }
    made = ask(
        [
            {"make": kind, "seed": seed, "data": base64.b64encode(data).decode(), "name": name}
            for kind, (data, name) in wanted.items()
        ]
    )
    documents = {kind: base64.b64decode(answer["data"]) for kind, answer in zip(wanted, made, strict=True)}
    assert {answer["key"] for answer in made} == {key.pem().decode()}
    assert [accepts(kind, data, key) for kind, data in documents.items()] == [True] * 4
    assert not any(accepts(kind, changed(kind, data), key) for kind, data in documents.items())
    assert not any(accepts(kind, data, generate().public) for kind, data in documents.items())


def test_flipped_bits_are_refused_by_both(ask: Ask, signer: Signer) -> None:
    """In the challenge, the response, the hint, and the message."""
    chance = random.Random(14)
    data = ours(signer)["bare"]
    places = [0, 63, 64, 4543, 4544, 4618, 4619, 4626, 4627]
    places += [chance.randrange(len(data)) for _ in range(FLIPS - len(places))]
    flipped = []
    for place in places:
        copy = bytearray(data)
        copy[place] ^= 1 << chance.randrange(8)
        flipped.append(bytes(copy))
    assert not any(accepts("bare", copy, signer.public) for copy in flipped)
    assert ask([question("bare", copy, signer.public) for copy in flipped]) == [False] * FLIPS


def test_no_signature_of_another_kind_passes(ask: Ask) -> None:
    """A key of ECDSA is none to the other, and its signature none to a key of ML-DSA."""
    weak, strong = generate(ECDSA_P384), generate()
    assert not accepts("bare", weak.sign(b"message").ljust(4627, b"\0") + b"message", strong.public)
    assert ask([question("bare", weak.sign(b"message").ljust(4627, b"\0") + b"message", strong.public)]) == [
        False
    ]
