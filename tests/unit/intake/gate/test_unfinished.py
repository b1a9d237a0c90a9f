import pytest

from airlift.errors import ForbiddenFileError
from airlift.intake.gate.unfinished import check_whole
from airlift.intake.gate.views import Held
from tests.support.weights import noise, weights

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 499588866\n"
XET = b"# xet version 0\nfilesize = 499588866\nhash = '" + b"a" * 64 + b"'\n"
ANNEX = b"../.git/annex/objects/Xk/9P/SHA256E-s499588866--" + b"a" * 64 + b".bin/x\n"
PAGE = b'<!DOCTYPE html>\n<html class="">\n<head><title>404</title></head>\n</html>\n'


def check(name: str, data: bytes, *others: str) -> None:
    check_whole(name, Held(data), frozenset({name, *others}))


def refuse(name: str, data: bytes) -> ForbiddenFileError:
    with pytest.raises(ForbiddenFileError) as caught:
        check(name, data)
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(name)
    return caught.value


@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "tokenizer.json", "tokenizer.model", "sub/model.onnx", "README.md", "noname"],
)
@pytest.mark.parametrize(
    ("data", "command"), [(LFS, "git lfs pull"), (XET, "git xet pull"), (ANNEX, "git annex get")]
)
def test_pointers_in_the_place_of_any_file(name: str, data: bytes, command: str) -> None:
    """THREATS, content: Git LFS and Xet pointers in place of weights."""
    assert command in refuse(name, data).hint
    assert command in refuse(name, data.replace(b"\n", b"\r\n")).hint


def test_text_about_pointers_is_no_pointer() -> None:
    check("README.md", LFS + b"This is what a pointer looks like.\n" * 40)
    check("README.md", b"A pointer starts with:\n" + LFS)


@pytest.mark.parametrize("suffix", ["incomplete", "part", "PARTIAL", "crdownload", "aria2"])
def test_parts_of_downloads(suffix: str) -> None:
    """THREATS, content: partial downloads in place of weights."""
    assert "airlift low fetch" in refuse(f"sub/model.safetensors.{suffix}", noise(1, 100)).hint


@pytest.mark.parametrize(
    "name", ["model.safetensors", "a.gguf", "pytorch_model.bin", "x.NPZ", "spiece.model"]
)
def test_empty_weights(name: str) -> None:
    assert "is empty" in refuse(name, b"").message


@pytest.mark.parametrize("name", ["__init__.py", "empty.txt", ".gitkeep"])
def test_other_files_may_be_empty(name: str) -> None:
    check(name, b"")


def test_an_openvino_model_without_numbers() -> None:
    check("ir/model.bin", b"", "ir/model.xml")


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "config.json", "a.yaml"])
@pytest.mark.parametrize(
    "data",
    [
        PAGE,
        b"\xef\xbb\xbf\r\n" + PAGE.lower(),
        b"<!-- served by cache 7 -->\n<html><body>moved</body></html>",
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>',
        b'{"error": "Repository not found"}',
        b'{"error":{"code":404},"status":404,"message":"x"}',
    ],
)
def test_error_pages(name: str, data: bytes) -> None:
    """THREATS, content: error pages in place of weights."""
    assert "error page" in refuse(name, data).message


@pytest.mark.parametrize(
    "data",
    [b"Entry not found", b"Invalid username or password.", b'{"detail":"Not Found"}', b"404: Not Found\n"],
)
def test_what_servers_say_in_place_of_weights(data: bytes) -> None:
    assert refuse("model.bin", data).found


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("page.html", PAGE),
        ("README.md", b"<html>\n# a model\n"),
        ("a.json", b'{"message": "hello"}'),
        ("a.json", b'{"error": "x", "instruction": "y"}'),
        ("a.json", b'["error"]'),
        ("a.json", b'{"error": '),
        ("a.json", b'{"a":' * 5000),
        ("model.safetensors", weights(1)),
        ("a.txt", b"Entry not found"),
        ("a.bin", b"<notes>"),
    ],
)
def test_what_is_no_error_page(name: str, data: bytes) -> None:
    check(name, data)
