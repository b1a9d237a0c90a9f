"""The whole way of what needs a person's word: a model with remote code, a trainer's folder, marked components."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, World, pack
from tests.cli.test_refusals import entries, refused

REASON = "Reviewed by the model board; the model has no other code."
SIGNING = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key", "--replace")
PERMITTED = (
    POLICY.replace("airlift: 1", "airlift: 2")
    + "waivers: [{what: code}, {what: remote-code, component: m}]\n"
)
TOLD = (
    "m: marking UNCLASSIFIED",
    f"m: waiver for code in modeling.py: {REASON}",
    f"m: waiver for remote-code in config.json: {REASON}",
    "m: left out of its source by exclude optimizer.pt, *.pth: 2 files, optimizer.pt, rng_state.pth",
)


def write(world: World, accept: str, exclude: str = "exclude: [optimizer.pt, '*.pth']") -> Path:
    """Write a model that brings its own code, as its trainer left it, and a manifest of it."""
    folder = world.folder / "sources/m"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Model"}}))
    (folder / "modeling.py").write_text("class Model: ...\n")
    for name in ("optimizer.pt", "rng_state.pth"):
        (folder / name).write_bytes(b"\x80\x04]\x94.")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    path = world.folder / "coded.yaml"
    path.write_text(
        "airlift: 1\nrelease: demo\nversion: coded\ncomponents:\n"
        f"  - name: m\n    kind: model\n    version: '1'\n    source: {{path: sources/m, {exclude}}}\n"
        f"    marking: {{level: UNCLASSIFIED}}\n{accept}"
    )
    return path


def accepting(*kinds: str) -> str:
    lines = [f"      - {{what: {kind}, reason: '{REASON}'}}\n" for kind in kinds]
    return "    accept:\n" + "".join(lines) if lines else ""


def permit(world: World, text: str) -> None:
    (world.folder / "policy.yaml").write_text(text)
    world.quick("high", "policy", "set", "policy.yaml").expect(0)


@pytest.fixture
def coded(world: World) -> World:
    """A world with the bundle alpha-6 of the release demo@coded."""
    manifest = write(world, accepting("remote-code", "code"))
    world.quick("low", "release", manifest, *SIGNING).expect(0)
    pack(world, "coded", "--for", "alpha")
    return world


def test_without_a_waiver_there_is_a_way_forward(world: World) -> None:
    for kinds in ((), ("code",), ("remote-code",)):
        said = world.quick(
            "low", "release", "--replace", write(world, accepting(*kinds)), "--format", "json"
        ).expect(2)
        assert said.error["code"] == "file-forbidden"
        assert "accept: [{what: " in said.error["hint"]
    said = world.quick(
        "low",
        "release",
        "--replace",
        write(world, accepting("code", "remote-code", "pickle")),
        "--format",
        "json",
    )
    assert said.expect(2).error["code"] == "manifest-invalid"
    assert "remove the line" in said.error["hint"]
    said = world.quick(
        "low", "release", "--replace", write(world, accepting("code", "remote-code"), "exclude: [optimizer]")
    )
    assert "a pattern of exclude fits no file: 'optimizer'" in said.expect(2).err


def test_the_signers_are_told(world: World) -> None:
    manifest = write(world, accepting("code", "remote-code"))
    said = world.quick("low", "release", manifest, "--replace", "--key", "keys/release-cy.key").expect(0)
    signed = world.quick("low", "sign", "demo@coded", "--key", "keys/release-di.key").expect(0)
    for out in (said.out, signed.out):
        for line in TOLD:
            assert f"  {line.removeprefix('m: ')}" in out
    assert "m/.DS_Store" in said.out


def test_an_enclave_without_the_permission_refuses_it(coded: World) -> None:
    """THREATS, content: a waiver that an enclave does not permit, or for more than it names."""
    volumes = coded.volumes("alpha-6")
    planned = coded.quick("high", "plan", *volumes, "--format", "json").expect(0)
    assert [item["code"] for item in planned.data["objections"]] == ["waiver-refused"] * 2
    assert "component m comes with a waiver for remote-code (waiver-refused)" in planned.err
    for text in (
        POLICY,
        PERMITTED.replace("{what: code}, ", ""),
        PERMITTED.replace("component: m", "component: n"),
    ):
        permit(coded, text)
        for words in ((), ("--activate",)):
            said = refused(coded, 6, "high", "import", *volumes, *words)
            assert (said.error["code"], said.error["exit"]) == ("waiver-refused", 6)
            assert "waivers" in said.error["expected"]
            assert entries(coded)[-1] == "import-reject waiver-refused"


def test_an_enclave_with_the_permission_takes_it(coded: World) -> None:
    volumes = coded.volumes("alpha-6")
    permit(coded, PERMITTED)
    done = coded.run("high", "import", *volumes, "--activate", "--format", "json").expect(0)
    assert done.data["activated"]
    active = coded.folder / "enclave/active/m"
    assert sorted(path.name for path in active.iterdir()) == ["config.json", "modeling.py"]
    permit(coded, POLICY)
    assert (
        coded.quick("high", "activate", "demo@coded", "--format", "json").expect(6).error["code"]
        == "waiver-refused"
    )


def test_it_is_shown_wherever_components_are(coded: World) -> None:
    volumes = coded.volumes("alpha-6")
    permit(coded, PERMITTED)
    for verb in ("inspect", "plan", "verify", "import"):
        assert all(line in coded.quick("high", verb, *volumes).expect(0).out for line in TOLD), verb
    coded.quick("high", "activate", "demo@coded").expect(0)
    (item,) = coded.quick("high", "inspect", *volumes, "--format", "json").expect(0).data["components"]
    assert item["marking"] == {"level": "UNCLASSIFIED", "caveats": []}
    assert [(waived["what"], waived["files"]) for waived in item["waivers"]] == [
        ("code", ["modeling.py"]),
        ("remote-code", ["config.json"]),
    ]
    assert item["left_out"] == {"count": 2, "names": ["optimizer.pt", "rng_state.pth"]}
    assert all(line in coded.quick("high", "list").expect(0).out for line in TOLD)
    listed = coded.quick("low", "list").expect(0).out
    assert all(f"demo@coded, {line}" in listed for line in TOLD)
    assert "m 1 (UNCLASSIFIED, accepts code, accepts remote-code)" in listed
    for kind in ("cyclonedx", "spdx", "oscal"):
        coded.quick("provenance", "export", "--as", kind, "--output", kind).expect(0)
        text = (coded.folder / kind).read_text()
        assert "remote-code" in text
        assert REASON in text
        assert "optimizer.pt" in text
    coded.quick("provenance", "report", "--output", "report.html").expect(0)
    page = (coded.folder / "report.html").read_text()
    assert f"Component m runs with a waiver for remote-code: {REASON}" in page
    assert "code for every component; remote-code for m" in page
    assert "optimizer.pt" in page


def test_the_standalone_verifier_takes_a_release_of_format_2(coded: World) -> None:
    permit(coded, PERMITTED)
    coded.quick("high", "import", *coded.volumes("alpha-6"), "--activate").expect(0)
    said = coded.run("provenance", "trace", "m", "--prove", "--format", "json").expect(0)
    (coded.folder / "answer.json").write_text(said.out)
    from airlift import verify

    assert (
        verify.main(
            [str(coded.folder / "answer.json"), "--public-key", str(coded.folder / "keys/ledger.pub")]
        )
        == 0
    )
