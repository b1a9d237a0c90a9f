"""Charts: archives that stay in their folder and are what they are called; provenance beside them (SPEC L2.17)."""

import gzip
import tarfile
from pathlib import Path

import pytest

from airlift.errors import ForbiddenFileError
from airlift.intake.collect import Collected, collect, survey
from airlift.intake.gate.forms import chart, chart_archive
from airlift.intake.gate.views import Held
from tests.support import made_wheels as made
from tests.support.taking import ONLY_DIGESTED

NAME = "engine-0.1.0.tgz"


def gather(folder: Path, files: dict[str, bytes]) -> Collected:
    for name, data in files.items():
        place = folder / "chart" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return collect("engine", "chart", survey("engine", folder / "chart"), ONLY_DIGESTED, lambda _count: None)


def refuse(folder: Path, files: dict[str, bytes], reason: str) -> ForbiddenFileError:
    with pytest.raises(ForbiddenFileError, match=reason) as caught:
        gather(folder, files)
    assert caught.value.hint
    return caught.value


def objects(data: bytes, reason: str, name: str = NAME) -> None:
    with pytest.raises(ForbiddenFileError, match=reason):
        chart.check_archive(name, Held(data))


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


def whole(*more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    files = [(member(f"engine/{path}"), data) for path, data in made.chart_files().items()]
    return made.pack_tar([*files, *more])


def test_a_folder_and_archives_pass_and_are_known(tmp_path: Path) -> None:
    assert gather(tmp_path / "a", made.chart_files()).unrecognised == ()
    data = made.chart()
    files = {
        NAME: data,
        f"{NAME}.prov": made.provenance(NAME, data),
        "other-2.0.0.tgz": made.chart("other", "2.0.0"),
    }
    assert gather(tmp_path / "b", files).unrecognised == ()


def test_a_chart_in_a_chart_is_judged_too(tmp_path: Path) -> None:
    files = made.chart_files()
    gather(tmp_path / "a", files | {"charts/other-2.0.0.tgz": made.chart("other", "2.0.0")})
    refuse(
        tmp_path / "b",
        files | {"charts/other-3.0.0.tgz": made.chart("other", "2.0.0")},
        "another chart than its name",
    )


def test_a_pickle_in_a_chart_is_still_one(tmp_path: Path) -> None:
    data = whole((member("engine/files/x.bin"), b"\x80\x04cos\nsystem\n(S'id'\ntR."))
    refuse(tmp_path, {NAME: data}, "holds a pickle")


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": b"x"},
        {NAME: b"", "notes.txt": b"x"},
        {"engine/Chart.yaml": b"x"},
        {"sub/a-1.0.0.tgz": b""},
    ],
)
def test_other_files_are_no_chart(tmp_path: Path, files: dict[str, bytes]) -> None:
    refuse(tmp_path, files, "it is no chart")


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (member("engine/../../etc/cron.d/x"), "leads out of it"),
        (member("/etc/passwd"), "leads out of it"),
        (member("engine/a\\b"), "leads out of it"),
        (member("engine/link", tarfile.SYMTYPE, "/etc/passwd"), "neither file nor folder"),
        (member("engine/link", tarfile.LNKTYPE, "engine/values.yaml"), "neither file nor folder"),
        (member("engine/pipe", tarfile.FIFOTYPE), "neither file nor folder"),
        (member("engine/disk", tarfile.BLKTYPE), "neither file nor folder"),
        (member("engine/values.yaml"), "two members of one name"),
        (member("beside/values.yaml"), "more than one folder"),
    ],
)
def test_members_stay_in_the_folder_of_the_chart(extra: tarfile.TarInfo, reason: str) -> None:
    objects(whole((extra, b"")), reason)


def test_an_archive_is_whole_and_nothing_else() -> None:
    data = whole()
    plain = gzip.decompress(data)
    objects(b"", "is no chart")
    objects(plain, "is no chart")
    objects(data[:-40], "is damaged")
    objects(data[:-8] + bytes(8), "is damaged")
    objects(gzip.compress(plain + b"more"), "something behind its end")
    objects(gzip.compress(plain[:1000]), "is no tar archive in gzip, or is damaged")
    objects(gzip.compress(bytes(2000)), "Chart.yaml|is no chart")
    chart.check_archive(NAME, Held(gzip.compress(plain + bytes(10240))))


def test_an_archive_is_what_it_is_called() -> None:
    objects(whole(), "another chart than its name says", "engine-0.2.0.tgz")
    chart.check_archive("charts/" + NAME, Held(whole()))


def test_an_archive_does_not_hold_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_archive, "MAX_MEMBERS", 2)
    objects(whole(), "holds too much")
    monkeypatch.undo()
    objects(whole((member("engine/big"), bytes(chart_archive.MAX_UNPACKED))), "holds too much")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("apiVersion: v2\nname: engine\nversion: 1.2\n", "no 'version' that is one"),
        ("apiVersion: v2\nname: engine\nversion: 01.2.3\n", "no 'version' that is one"),
        ("apiVersion: v2\nname: ../engine\nversion: 1.2.3\n", "no 'name' that is one"),
        ("apiVersion: v2\nversion: 1.2.3\n", "no 'name' that is one"),
        ("apiVersion: v3\nname: engine\nversion: 1.2.3\n", "'apiVersion' that is known"),
        ("apiVersion: v2\nname: engine\nname: other\nversion: 1.2.3\n", "a key twice"),
        ("apiVersion: &a v2\nname: engine\nversion: *a\n", "an anchor or an alias"),
        ("apiVersion: v2\nname: engine\nversion: 1.2.3\n---\n{}\n", "more than one document"),
        ("x: " + "[" * 40 + "]" * 40, "nested too deeply"),
        ("- a\n", "'apiVersion' that is known"),
        ("", "'apiVersion' that is known"),
        ("a: [", "is not plain YAML"),
        ("a: \x01", "is not plain YAML"),
    ],
)
def test_a_description_is_plain_yaml_with_name_and_version(tmp_path: Path, text: str, reason: str) -> None:
    refuse(tmp_path, {"Chart.yaml": text.encode()}, reason)


def test_provenance_is_of_the_archive_beside_it(tmp_path: Path) -> None:
    data = made.chart()
    other = made.provenance(NAME, data + b"x")
    refuse(tmp_path / "a", {NAME: data, f"{NAME}.prov": other}, "is not of the .tgz beside it")
    refuse(
        tmp_path / "b",
        {NAME: data, f"{NAME}.prov": made.provenance("x.tgz", data)},
        "is not of the .tgz beside it",
    )
    refuse(tmp_path / "c", {NAME: data, f"{NAME}.prov": b"sha256"}, "is no provenance file")
    refuse(tmp_path / "d", {NAME: data, "x-1.0.0.tgz.prov": other}, "stands without its chart")


def test_any_flipped_byte_of_an_archive_is_a_refusal_or_harmless() -> None:
    """Of the last four bytes, the length that gzip states, nothing is read here: Helm refuses a wrong one itself."""
    data = made.chart()
    for place in range(len(data) - 4):
        changed = bytearray(data)
        changed[place] ^= 16
        try:
            chart.check_archive(NAME, Held(bytes(changed)))
        except ForbiddenFileError:
            continue
        assert gzip.decompress(bytes(changed)) == gzip.decompress(data)
