"""``airlift keys``: pairs with the right modes, never overwritten, nothing left behind."""

import stat
from pathlib import Path

import pytest

from airlift.trust.keys.load import load_signer
from airlift.trust.keys.public import load_public
from tests.cli.transcript import airlift, inside, tree


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("scheme", ["ml-dsa-87", "ecdsa-p384"])
def test_generate_writes_a_pair(tmp_path: Path, scheme: str) -> None:
    said = airlift(
        "keys", "generate", "alice", "--scheme", scheme, "--out", "new/keys", "--no-passphrase", "--format=json",
        cwd=tmp_path,
    ).expect(0)  # fmt: skip
    private, public = tmp_path / "new/keys/alice.key", tmp_path / "new/keys/alice.pub"
    key = load_public(public)
    assert (mode(private), mode(public)) == (0o600, 0o644)
    assert load_signer(str(private)).public == key
    assert said.document["command"] == "keys generate"
    assert said.data == {
        "private": "new/keys/alice.key",
        "file": "new/keys/alice.pub",
        "scheme": scheme,
        "key_id": key.key_id,
        "fingerprint": key.fingerprint,
        "encrypted": False,
        "dry_run": False,
    }


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    script = ("/bin/sh", "-c", 'umask 000; exec "$@"', "sh")
    airlift("keys", "generate", "a", "--no-passphrase", cwd=tmp_path, wrapper=script).expect(0)
    assert (mode(tmp_path / "a.key"), mode(tmp_path / "a.pub")) == (0o600, 0o644)


def test_the_fingerprint_is_grouped_for_people(tmp_path: Path) -> None:
    inside("keys", "generate", "a", "--no-passphrase", cwd=tmp_path).expect(0)
    key = load_public(tmp_path / "a.pub")
    said = inside("keys", "show", "a.pub", cwd=tmp_path).expect(0)
    line = next(line for line in said.out.splitlines() if line.startswith("fingerprint"))
    blocks = line.split()[1:]
    assert {len(block) for block in blocks} == {8}
    assert "".join(blocks) == key.fingerprint


def test_show_takes_private_and_public_keys(tmp_path: Path) -> None:
    inside("keys", "generate", "a", "--no-passphrase", cwd=tmp_path).expect(0)
    said = inside("keys", "show", "a.key", "a.pub", "--format", "json", cwd=tmp_path).expect(0)
    first, second = said.data["keys"]
    assert set(first) == {"file", "scheme", "key_id", "fingerprint"}
    assert {**first, "file": "a.pub"} == second


@pytest.mark.parametrize("way", ["file", "pipe", "descriptor"])
def test_an_encrypted_key_opens_with_its_passphrase(tmp_path: Path, way: str) -> None:
    (tmp_path / "secret").write_text("correct horse\n")
    (tmp_path / "secret").chmod(0o600)
    words, wrapper = {
        "file": (["--passphrase-file", "secret"], ()),
        "pipe": (["--passphrase-file", "/dev/fd/7"], ("/bin/sh", "-c", 'cat secret | "$@" 7<&0', "sh")),
        "descriptor": (["--passphrase-fd", "7"], ("/bin/sh", "-c", 'exec "$@" 7<secret', "sh")),
    }[way]
    airlift("keys", "generate", "a", *words, cwd=tmp_path, wrapper=wrapper).expect(0)
    assert b"ENCRYPTED" in (tmp_path / "a.key").read_bytes()
    assert b"correct horse" not in (tmp_path / "a.key").read_bytes()
    said = airlift("keys", "show", "a.key", *words, cwd=tmp_path, wrapper=wrapper).expect(0)
    assert said.err == ""
    airlift("keys", "show", "a.key", cwd=tmp_path).expect(7)


def test_a_passphrase_file_has_a_line_per_key(tmp_path: Path) -> None:
    for name, secret in (("a", "one"), ("b", "two"), ("c", "two")):
        (tmp_path / name).write_text(secret)
        inside("keys", "generate", name, "--passphrase-file", name, cwd=tmp_path).expect(0)
    (tmp_path / "all").write_text("one\ntwo\n")
    keys = ("a.key", "b.key", "c.key")
    inside("keys", "show", *keys, "--passphrase-file", "all", cwd=tmp_path).expect(0)
    said = inside("keys", "show", *reversed(keys), "--passphrase-file", "all", cwd=tmp_path).expect(7)
    assert "the passphrase is wrong" in said.err


def test_an_open_passphrase_file_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o644)
    said = inside("keys", "generate", "a", "--passphrase-file", "secret", "--quiet", cwd=tmp_path).expect(0)
    assert said.err == "warning: secret can be used by other users of this machine: chmod 600 it\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "a passphrase is needed, and there is no terminal to ask for it"),
        (["--passphrase-file", "gone"], 7, "cannot read gone"),
        (["--passphrase-file", "empty"], 7, "empty holds no passphrase"),
        (["--passphrase-fd", "99"], 7, "cannot read descriptor 99"),
        (["--passphrase-file", "empty", "--passphrase-fd", "0"], 2, "exclude each other"),
        (["--passphrase-file", "empty", "--no-passphrase"], 2, "--no-passphrase excludes"),
        (["--no-passphrase", "--out", "empty"], 8, "cannot write"),
        (["--no-passphrase", "--scheme", "ed25519"], 2, "invalid value for '--scheme'"),
    ],
)
def test_a_failure_leaves_nothing_behind(tmp_path: Path, words: list[str], code: int, message: str) -> None:
    (tmp_path / "empty").touch(0o600)
    before = tree(tmp_path)
    said = inside("keys", "generate", "a", *words, cwd=tmp_path).expect(code)
    assert message in said.err
    assert said.out == ""
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".hidden", "a b", "a\nb", "x" * 65])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    inside("keys", "generate", name, "--no-passphrase", cwd=folder).expect(2)
    assert tree(tmp_path) == {"in": (folder.stat().st_mode, 0)}


@pytest.mark.parametrize("existing", ["a.key", "a.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("precious")
    before = tree(tmp_path)
    said = airlift("keys", "generate", "a", "--no-passphrase", "--format", "json", cwd=tmp_path).expect(2)
    assert said.error["code"] == "exists"
    assert tree(tmp_path) == before
    assert (tmp_path / existing).read_text() == "precious"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.key").symlink_to("elsewhere")
    inside("keys", "generate", "a", "--no-passphrase", cwd=tmp_path).expect(2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    said = inside(
        "keys", "generate", "a", "--no-passphrase", "--dry-run", "--format=json", cwd=tmp_path
    ).expect(0)
    assert said.data["dry_run"] is True
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_key_is_not_accepted(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "e.pub").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    said = inside("keys", "show", "e.pub", "--format", "json", cwd=tmp_path).expect(7)
    assert said.error["expected"] == "ml-dsa-87 or ecdsa-p384"
    (tmp_path / "n.pub").write_text("no key")
    inside("keys", "show", "n.pub", cwd=tmp_path).expect(3)
