"""What a text names: one thing, told by what the depot knows, or by a prefix where it fits several."""

from collections.abc import Mapping

import pytest

from airlift.bundle.revocations import Revocation
from airlift.errors import KeyUnavailableError, NotHeldError, UsageError
from airlift.low.authority import subjects
from airlift.low.authority.subjects import Named
from airlift.low.depot import known
from airlift.low.release import attest
from airlift.low.release.attest import Claim
from airlift.low.returns.register import register
from airlift.trust.statements import model_signing
from tests.support import keys, vendor
from tests.support.bundle_values import sha512
from tests.support.depots import NOW, Site, signed_site

FILES: Mapping[str, bytes] = {"rules.txt": b"be good", "words.txt": b"be good"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A depot with assistant@1 of a guard with the same content twice, a scan, and an enclave."""
    site = signed_site(tmp_path_factory.mktemp("subjects"))
    site.release({"assistant": FILES, "guard": {"rules.txt": b"be better"}}, kinds={"guard": "guard"})
    predicate = site.folder / "scan.json"
    predicate.write_text('{"verdict": "pass"}')
    attest.attest(site.depot, "assistant@1", Claim("scan", predicate), signer=keys.signer("scanner"), now=NOW)
    keys.write(site.keys, "ledger")
    register(site.depot, "alpha", ledger_key=site.keys / "ledger.pub", now=NOW)
    return site


def find(site: Site, text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.names) for one in subjects.find(site.depot, text)]


def test_releases_components_and_files(site: Site) -> None:
    release = site.depot.load_release("assistant@1")
    assistant, guard = release.components
    paths = ("assistant@1/rules.txt", "assistant@1/words.txt")
    for text, expected in (
        (release.digest[:12], ("release", ("assistant@1",))),
        (release.digest, ("release", ("assistant@1",))),
        ("guard@1", ("component", ("guard@1",))),
        (guard.digest, ("component", ("guard@1",))),
        (guard.digest.upper(), ("component", ("guard@1",))),
        (assistant.files[0].sha512, ("file", paths)),
        (assistant.files[0].sha256, ("file", paths)),
    ):
        assert find(site, text) == [expected]


def test_keys(site: Site) -> None:
    keys.write(site.keys, "stranger")
    for name, names in (
        ("dan", ("dan",)),
        ("scanner", ("scan of assistant@1",)),
        ("ledger", ("ledger of alpha",)),
    ):
        assert find(site, keys.signer(name).public.key_id) == [("key", names)]
    assert find(site, str(site.keys / "dan.pub")) == [("key", ("dan",))]
    assert find(site, f"key:{site.keys}/stranger.pub") == [("key", ("stranger",))]
    (site.keys / "foreign.pub").write_bytes(vendor.public())
    (foreign,) = subjects.find(site.depot, str(site.keys / "foreign.pub"))
    assert {foreign.digest} == model_signing.key_ids("key", [vendor.public().decode()])
    with pytest.raises(NotHeldError):
        find(site, str(site.keys / "nobody.pub"))
    (site.keys / "private.pub").write_bytes((site.keys / "stranger.key").read_bytes())
    with pytest.raises(KeyUnavailableError):
        find(site, str(site.keys / "private.pub"))


def test_what_fits_two_things_is_not_guessed(site: Site) -> None:
    with pytest.raises(UsageError, match="more than one thing") as caught:
        find(site, "assistant@1")
    assert caught.value.hint == "say which: release:assistant@1 or component:assistant@1"
    assert find(site, "release:assistant@1") == [("release", ("assistant@1",))]
    assert find(site, "component:assistant@1") == [("component", ("assistant@1",))]


def test_a_file_may_be_unknown(site: Site) -> None:
    """The release authority may know more than its depot."""
    assert subjects.find(site.depot, sha512("x")) == (Named("file", sha512("x"), known=False),)
    digest = sha512("x")[:64]
    with pytest.raises(UsageError, match="SHA-256 of a file or the id of a key") as caught:
        find(site, digest)
    assert caught.value.hint == f"say which: file:{digest} or key:{digest}"
    for kind in ("file", "key"):
        assert subjects.find(site.depot, f"{kind}:{digest}") == (Named(kind, digest, known=False),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "guard",
        "guard@2",
        "release:guard@1",
        "file:guard@1",
        "key:guard",
        "component:",
        "0" * 63,
        "g" * 128,
        "release:" + "0" * 128,
    ],
)
def test_other_texts_name_nothing(site: Site, text: str) -> None:
    with pytest.raises(NotHeldError):
        find(site, text)


def test_what_is_listed_is_found_by_its_first_digits(site: Site) -> None:
    guard = site.depot.load_release("assistant@1").components[1]
    entries = (
        Revocation("component", guard.digest, "", 1),
        Revocation("file", "ab" * 64, "", 2),
        Revocation("key", "ab" * 32, "", 3),
        Revocation("key", "ab" * 31 + "ff", "", 4),
    )

    def found(text: str) -> tuple[Named, ...]:
        return subjects.find_listed(site.depot, text, entries)

    assert found("guard@1") == (Named("component", guard.digest, ("guard@1",)),)
    assert found(guard.digest[:12])[0].digest == guard.digest
    assert found("file:" + "ab" * 6)[0].digest == "ab" * 64
    assert found("ab" * 31 + "ff")[0].kind == "key"
    for text in ("ab" * 6, "key:" + "ab" * 6):
        with pytest.raises(UsageError, match="more than one"):
            found(text)
    for text in ("ab" * 5, "assistant@1", "file:" + guard.digest, str(site.keys / "dan.pub")):
        with pytest.raises(NotHeldError, match="not revoked"):
            found(text)


def test_names_are_few_in_a_line() -> None:
    shown = known.shown({"a": ("one",), "b": tuple("abcd")})
    assert shown == {"a": "one", "b": "a, b, c and 1 more"}
