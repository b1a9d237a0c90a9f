"""Wheels: each is what its name and its RECORD say, for every reader (SPEC L2.16)."""

import hashlib
import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from airlift.errors import ForbiddenFileError
from airlift.intake.collect import Collected, collect, survey
from airlift.intake.gate.forms import archive, wheel
from airlift.intake.gate.views import Held
from tests.support import made_wheels as made
from tests.support.taking import ONLY_DIGESTED

NAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"


def gather(folder: Path, files: dict[str, bytes]) -> Collected:
    (folder / "wheels").mkdir(parents=True)
    for name, data in files.items():
        (folder / "wheels" / name).parent.mkdir(exist_ok=True)
        (folder / "wheels" / name).write_bytes(data)
    return collect("tools", "wheels", survey("tools", folder / "wheels"), ONLY_DIGESTED, lambda _count: None)


def refuse(folder: Path, files: dict[str, bytes], reason: str) -> ForbiddenFileError:
    with pytest.raises(ForbiddenFileError, match=reason) as caught:
        gather(folder, files)
    assert caught.value.hint
    return caught.value


def check(data: bytes, name: str = NAME) -> None:
    wheel.check_wheel(name, Held(data))


def objects(data: bytes, reason: str, name: str = NAME) -> None:
    with pytest.raises(ForbiddenFileError, match=reason):
        check(data, name)


def test_wheels_pass_and_are_known(tmp_path: Path) -> None:
    """What a wheel brings is code, so a pickle in it is nothing that a waiver would be for."""
    holding = made.wheel("other", "2", b"\x80\x04cos\nsystem\n(S'id'\ntR.")
    collected = gather(tmp_path, {NAME: made.wheel(), "other-2-py3-none-any.whl": holding})
    assert collected.unrecognised == ()
    assert collected.met == ()


def test_names_are_compared_as_pip_does() -> None:
    files = made.wheel_files("Demo_Kit", "1.0.0")
    data = made.pack_zip(made.with_record(files, "Demo_Kit", "1.0.0"))
    check(data, "demo_kit-1.0-py3-none-any.whl")


@pytest.mark.parametrize("name", ["notes.txt", "sub/demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"])
def test_anything_else_is_refused(tmp_path: Path, name: str) -> None:
    refuse(tmp_path, {NAME: made.wheel(), name: made.wheel()}, "is no wheel")


@pytest.mark.parametrize(
    "name", ["demo.whl", "demo-1.0-py3-none.whl", "demo-x y-py3-none-any.whl", "-1-py3-none-any.whl"]
)
def test_the_name_is_that_of_a_wheel(name: str) -> None:
    objects(made.wheel(), "does not have the name of a wheel", name)


@pytest.mark.parametrize("name", ["demo-1.1-py3-none-any.whl", "dem-1.0-py3-none-any.whl"])
def test_a_wheel_under_another_name_is_refused(name: str) -> None:
    objects(made.wheel(), "it is something else than its name", name)


Change = Callable[[dict[str, bytes]], object]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f.update({"demo/more.py": b"x"}), "other members than its RECORD lists"),
        (lambda f: f.pop("demo/__init__.py"), "other members than its RECORD lists"),
        (lambda f: f.update({"demo/__init__.py": b"ANSWER = 43\n"}), "is not what RECORD says"),
        (
            lambda f: f.update({f"{INFO}/METADATA": b"Name: demo\nVersion: 9\n"}),
            "in METADATA that it is",
        ),
        (
            lambda f: f.update({f"{INFO}/METADATA": b"Name: demo\nVersion: x y\n"}),
            "in METADATA that it is",
        ),
        (
            lambda f: f.update({f"{INFO}/METADATA": b"Name: demo\nName: a\nVersion: 1.0\n"}),
            "not one name and one",
        ),
        (lambda f: f.update({f"{INFO}/WHEEL": b"Wheel-Version: 2.0\n"}), "unknown version"),
        (lambda f: f.pop(f"{INFO}/WHEEL"), "has no WHEEL"),
        (lambda f: f.pop(f"{INFO}/RECORD"), "has no RECORD"),
        (lambda f: f.update({"a-1.dist-info/METADATA": b""}), r"not one folder \*.dist-info"),
        (lambda f: f.update({f"{INFO}/RECORD": f[f"{INFO}/RECORD"] * 2}), "lists a file twice"),
        (lambda f: f.update({f"{INFO}/RECORD": b"one,two\n"}), "RECORD cannot be read"),
        (lambda f: f.update({f"{INFO}/RECORD": b"\xff,,\n"}), "RECORD cannot be read"),
        (
            lambda f: f.update({f"{INFO}/RECORD": f[f"{INFO}/RECORD"].replace(b"sha256=", b"md5=")}),
            "digest of",
        ),
        (
            lambda f: f.update({f"{INFO}/RECORD": f[f"{INFO}/RECORD"].replace(b",12\n", b",13\n")}),
            "is not what RECORD",
        ),
        (lambda f: f.update({"../evil.py": b"x"}), "leads out of it"),
        (lambda f: f.update({"/evil.py": b"x"}), "leads out of it"),
        (lambda f: f.update({"demo\\evil.py": b"x"}), "leads out of it"),
        (lambda f: f.update({"c:/evil.py": b"x"}), "leads out of it"),
    ],
)
def test_a_wheel_is_what_its_record_says(change: Change, reason: str) -> None:
    files = made.with_record(made.wheel_files())
    change(files)
    objects(made.pack_zip(files), reason)


def test_digests_that_are_stronger_than_usual_count() -> None:
    files = made.with_record(made.wheel_files())
    line = made.record_line("demo/__init__.py", files["demo/__init__.py"], "sha512")
    rest = b"".join(files[f"{INFO}/RECORD"].splitlines(keepends=True)[1:])
    check(made.pack_zip(files | {f"{INFO}/RECORD": line.encode() + rest}))


def zipped(*members: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for info, data in members:
            opened.writestr(info, data)
    return buffer.getvalue()


def test_links_and_unusual_packing_are_refused() -> None:
    link, packed = zipfile.ZipInfo("demo/link"), zipfile.ZipInfo("demo/x")
    link.external_attr = 0o120777 << 16
    packed.compress_type = zipfile.ZIP_LZMA
    objects(zipped((link, b"/etc/passwd")), "or is a link")
    objects(zipped((packed, b"x" * 99)), "packed in an unusual way")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused() -> None:
    objects(zipped((zipfile.ZipInfo("a"), b"1"), (zipfile.ZipInfo("a"), b"2")), "two members of one name")


def test_readers_that_go_forwards_and_backwards_find_the_same() -> None:
    """THREATS, content: a member that only readers of local headers see, and one that only those of the end see."""
    whole = made.wheel()
    objects(made.pack_zip({"demo/evil.py": b"x"}) + whole, "several directories, or something in front")
    objects(b"#!/bin/sh\n" + whole, "is no zip archive")
    start = whole.index(b"PK\x01\x02")
    hidden = made.pack_zip({"demo/evil.py": b"x"})
    inserted = hidden[: hidden.index(b"PK\x01\x02")]
    end = whole.rindex(b"PK\x05\x06")
    moved = int.from_bytes(whole[end + 16 : end + 20], "little") + len(inserted)
    tail = whole[start : end + 16] + moved.to_bytes(4, "little") + whole[end + 20 :]
    objects(whole[:start] + inserted + tail, "belong to no member")


def test_what_is_no_archive_is_told_so() -> None:
    objects(b"", "is no zip archive")
    objects(made.wheel()[:-30], "is no zip archive")


def test_a_wheel_does_not_hold_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED", 100)
    objects(made.wheel(), "holds too much")
    monkeypatch.setattr(archive, "MAX_UNPACKED", 1 << 20)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    objects(made.wheel(), "holds too much")


def test_any_flipped_byte_is_noticed_or_harmless() -> None:
    """Nothing but a refusal comes of it; what passes has members with the same content."""
    whole = made.wheel()
    names = zipfile.ZipFile(io.BytesIO(whole)).namelist()
    content = {name: zipfile.ZipFile(io.BytesIO(whole)).read(name) for name in names}
    for place in range(len(whole)):
        for bit in (1, 128):
            data = bytearray(whole)
            data[place] ^= bit
            try:
                check(bytes(data))
            except ForbiddenFileError:
                continue
            with zipfile.ZipFile(io.BytesIO(bytes(data))) as opened:
                assert {name: opened.read(name) for name in opened.namelist()} == content


def test_noise_in_a_wheel_is_refused() -> None:
    source = random.Random(3)
    whole = made.wheel()
    for _ in range(300):
        data = bytearray(whole)
        at = source.randrange(len(data))
        data[at : at + source.randrange(64)] = source.randbytes(source.randrange(64))
        try:
            check(bytes(data))
        except ForbiddenFileError:
            continue


# -- pins ------------------------------------------------------------------------------------------------------------


def lock(*lines: str) -> dict[str, bytes]:
    return {NAME: made.wheel(), "requirements.lock": "\n".join(lines).encode()}


SHA256 = hashlib.sha256(made.wheel()).hexdigest()


def test_a_list_of_pins_whose_wheels_are_there_passes(tmp_path: Path) -> None:
    lines = (
        "# by pip-compile",
        f"Demo==1.0.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{SHA256}",
        "    # via x",
    )
    gather(tmp_path, lock(*lines))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"demo==1.1 --hash=sha256:{SHA256}", "lists a wheel that is not there"),
        (f"other==1.0 --hash=sha256:{SHA256}", "lists a wheel that is not there"),
        (f"demo==1.0 --hash=sha256:{'0' * 64}", "lists a wheel that is not there"),
        (f"win==1 ; sys_platform == 'win32' --hash=sha256:{SHA256}", "lists a wheel that is not there"),
        ("demo==1.0", "requirements.lock:1 pins no wheel"),
        (f"demo>=1.0 --hash=sha256:{SHA256}", "pins no wheel"),
        (f"demo==1.* --hash=sha256:{SHA256}", "pins no wheel"),
        (f"demo @ file:///demo.whl --hash=sha256:{SHA256}", "pins no wheel"),
        ("-r other.txt", "pins no wheel"),
        ("--index-url https://example.com", "pins no wheel"),
        ("demo==1.0 --hash=md5:00", "pins no wheel"),
    ],
)
def test_a_list_pins_what_is_there_and_nothing_else(tmp_path: Path, line: str, reason: str) -> None:
    refuse(tmp_path, lock(line), reason)


def test_a_list_is_text(tmp_path: Path) -> None:
    refuse(tmp_path, {NAME: made.wheel(), "requirements.lock": b"\xff"}, "is not UTF-8")


def test_a_list_alone_is_no_component(tmp_path: Path) -> None:
    refuse(tmp_path, {"requirements.lock": b""}, "there are no wheels")
