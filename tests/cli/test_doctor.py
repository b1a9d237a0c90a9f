"""``airlift doctor`` tries what it claims."""

import os
from pathlib import Path

import pytest

from airlift.digests import kernel as digest_kernel
from tests.cli.transcript import airlift

ROOT = Path(__file__).parents[2]


def test_doctor_reports_every_area(tmp_path: Path) -> None:
    said = airlift("doctor", "--format", "json", cwd=tmp_path).expect(0)
    data = said.data
    assert set(data) == {"checks", "warnings", "failures"}
    assert data["failures"] == 0
    assert {check["area"] for check in data["checks"]} == {
        "versions", "algorithms", "codecs", "optional", "space", "clock", "permissions",
    }  # fmt: skip
    found = {check["name"]: check for check in data["checks"]}
    for scheme in ("ml-dsa-87", "ecdsa-p384"):
        assert found[scheme]["status"] == "ok"
        assert "forgery refused" in found[scheme]["detail"]
    assert found["sha512"]["detail"].endswith("MB/s")
    assert {"openssl", "python", "tuf", "raw", "equal", "zstd", "planes", "umask"} <= set(found)


def test_doctor_changes_nothing(tmp_path: Path) -> None:
    airlift("doctor", cwd=tmp_path).expect(0)
    assert list(tmp_path.iterdir()) == []


def test_doctor_warns_about_a_shared_folder_and_an_open_umask(tmp_path: Path) -> None:
    (tmp_path / "enclave").mkdir()
    (tmp_path / "enclave").chmod(0o777)
    script = ("/bin/sh", "-c", 'umask 000; exec "$@"', "sh")
    said = airlift("doctor", "--format", "json", cwd=tmp_path, wrapper=script).expect(0)
    checks = {check["name"]: check for check in said.data["checks"] if check["area"] == "permissions"}
    assert checks["enclave"]["status"] == "warn"
    assert checks["umask"]["status"] == "warn"
    assert said.data["warnings"] >= 2


def test_doctor_fails_on_a_library_that_accepts_forgeries(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import airlift.trust.keys.public as keys\nkeys.PublicKey.verify = lambda *_: None\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    said = airlift("doctor", "--format", "json", cwd=tmp_path, environment={"PYTHONPATH": path}).expect(7)
    assert said.data["failures"] == 2
    assert "a forged signature was accepted" in said.error["found"]


WRONG_KERNEL = """
import airlift.codec.ulp.kernel as kernel

class Wrong:
    def paths(self):
        return ["avx512"]

    def wanted(self):
        return ""

    def survey(self, *given):
        pass

kernel.KERNELS.module = Wrong()
"""


WRONG_PARITY_KERNEL = WRONG_KERNEL.replace("codec.ulp", "erasure").replace("avx512", "gfni")


def doctored(folder: Path, code: str, kernel: str = "kernel") -> dict[str, str]:
    """Return what doctor finds of a kernel after some code has run."""
    (folder / "sitecustomize.py").write_text(code)
    path = os.pathsep.join([str(folder), str(ROOT)])
    said = airlift("doctor", "--format", "json", cwd=folder, environment={"PYTHONPATH": path}).expect(0)
    found = (check for check in said.data["checks"] if check["area"] == "codecs")
    return next(check for check in found if check["name"] == kernel)


@pytest.mark.parametrize("kernel", ["kernel", "parity kernel", "prediction kernel", "digest kernel"])
def test_doctor_says_that_the_kernel_was_checked(tmp_path: Path, kernel: str) -> None:
    found = doctored(tmp_path, "", kernel)
    assert found["status"] == "ok"
    assert "gives the known answer" in found["detail"]


def test_doctor_warns_of_a_kernel_that_is_wrong(tmp_path: Path) -> None:
    found = doctored(tmp_path, WRONG_KERNEL)
    assert found["status"] == "warn"
    assert found["detail"] == "avx512 does not give the known answer: numpy is used, slower"


def test_doctor_warns_of_a_parity_kernel_that_is_wrong(tmp_path: Path) -> None:
    found = doctored(tmp_path, WRONG_PARITY_KERNEL, "parity kernel")
    assert found["status"] == "warn"
    assert found["detail"] == "gfni does not give the known answer: numpy is used, slower"


def test_doctor_warns_of_a_prediction_kernel_that_is_wrong(tmp_path: Path) -> None:
    found = doctored(tmp_path, WRONG_KERNEL.replace("codec.ulp", "codec.predict"), "prediction kernel")
    assert found["status"] == "warn"
    assert found["detail"] == "avx512 does not give the known answer: numpy is used, slower"


def test_doctor_warns_of_a_digest_kernel_that_is_wrong(tmp_path: Path) -> None:
    found = doctored(tmp_path, WRONG_KERNEL.replace("codec.ulp", "digests"), "digest kernel")
    assert found["status"] == "warn"
    assert found["detail"] == "avx512 does not give the known answer: openssl is used, slower"


def test_doctor_says_that_openssl_digests_alone_in_fips_mode(tmp_path: Path) -> None:
    code = "import airlift.digests.kernel as kernel\nkernel.get_fips_mode = lambda: 1\n"
    found = doctored(tmp_path, code, "digest kernel")
    assert found["status"] == "ok"
    if digest_kernel.names() != ["openssl"]:
        assert found["detail"] == "openssl alone is used: it is in FIPS mode"


@pytest.mark.parametrize("room", ["codec.ulp", "erasure"])
def test_doctor_fails_where_numpy_is_wrong_too(tmp_path: Path, room: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import airlift.{room}.kernel.selftest as selftest\nselftest.DIGEST = 'another'\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    said = airlift("doctor", "--format", "json", cwd=tmp_path, environment={"PYTHONPATH": path}).expect(7)
    assert "numpy does not give the known answer" in said.error["found"]


def test_doctor_doubts_a_clock_at_1970(tmp_path: Path, require_tool: object) -> None:
    assert callable(require_tool)
    faketime = require_tool("faketime")
    wrapper = (faketime, "1970-01-02 00:00:00")
    said = airlift("doctor", "--format", "json", cwd=tmp_path, wrapper=wrapper).expect(0)
    clock = next(check for check in said.data["checks"] if check["area"] == "clock")
    assert (clock["status"], clock["detail"][:10]) == ("warn", "1970-01-02")
