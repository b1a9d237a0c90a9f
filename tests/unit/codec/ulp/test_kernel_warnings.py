"""What `make lint` says of the kernel's C: warnings are errors, and a machine without a compiler is told so."""

from pathlib import Path

import pytest

from tests.conftest import find_tool
from tests.support import kernel_warnings

NOWHERE = "no-such-compiler"


@pytest.mark.parametrize(
    "body",
    ["int n = 1L << k;", "int unused;", "if (k = 2) k++;"],
)
def test_a_warning_is_an_error(body: str, tmp_path: Path) -> None:
    source = tmp_path / "one.c"
    source.write_text(f"int f(long k);\nint f(long k)\n{{\n    {body}\n    return (int)k;\n}}\n")
    said = list(kernel_warnings.check(find_tool("gcc"), [source], None))
    assert len(said) == 1
    assert "-Werror" in said[0]


def test_no_warning_says_nothing(tmp_path: Path) -> None:
    source = tmp_path / "one.c"
    source.write_text("int f(long k);\nint f(long k)\n{\n    return (int)k;\n}\n")
    assert list(kernel_warnings.check(find_tool("gcc"), [source], None)) == []


def test_without_a_compiler_that_is_said_and_fails_only_where_tools_are_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIRLIFT_REQUIRE_TOOLS", raising=False)
    assert kernel_warnings.main(NOWHERE, NOWHERE) == 0
    assert f"not all was checked for warnings: {NOWHERE} is not installed" in capsys.readouterr().err
    monkeypatch.setenv("AIRLIFT_REQUIRE_TOOLS", "1")
    assert kernel_warnings.main(NOWHERE, NOWHERE) == 1
