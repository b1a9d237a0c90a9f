import marshal
import struct
from importlib.util import MAGIC_NUMBER

import pytest

from airlift.intake.gate.code import program, source
from airlift.intake.gate.views import WINDOW, Held
from tests.support.weights import noise

COMPILED = compile("print(1)\n", "x.py", "exec")
PORTABLE = b"MZ" + bytes(58) + struct.pack("<L", 64) + b"PE\0\0" + bytes(40)


def named(data: bytes) -> str:
    return program(Held(data), data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01" + bytes(60),
        PORTABLE,
        b"\xcf\xfa\xed\xfe" + bytes(60),
        b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(60),
        b"!<arch>\n" + bytes(60),
        b"\0asm\x01\0\0\0",
        MAGIC_NUMBER + bytes(12) + marshal.dumps(COMPILED),
        b"\x03\xf3\r\n" + bytes(4) + b"c" + bytes(20),
        b"#!/bin/sh\necho\n",
        b"#! /usr/bin/env python3\n",
    ],
)
def test_programs(data: bytes) -> None:
    """THREATS, content: code in a model folder, whatever its name."""
    assert named(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"MZ", b"MZ" + bytes(62), PORTABLE[:-43], b"#!x\n", b"#1\r\n2\r\n", b"a\n", b"ab\r\ncdefghic"],
)
def test_what_is_no_program(data: bytes) -> None:
    assert named(data) == ""


def test_noise_is_no_program() -> None:
    assert not any(named(noise(seed, 400)) for seed in range(500))


@pytest.mark.parametrize("name", ["modeling.py", "sub/X.PYW", "op.pyx"])
def test_sources(name: str) -> None:
    assert source(name, b"import os\n")
    assert not source(name, b"")
    assert not source(name, b" \n")
    assert not source(name, noise(1, 500))
    assert not source("notes.txt", b"import os\n")


def test_white_space_in_front_hides_no_source() -> None:
    """Threat, content: nobody looks further than the first bytes of a file."""
    assert source("model.py", b"\n" * WINDOW)
    assert not source("__init__.py", b"\n" * 100)
