"""Gated and private repositories, and where a token goes: to the endpoint, and nowhere else (SPEC L2.10d, L2.10e)."""

import logging
from pathlib import Path

import pytest

from airlift.errors import AirliftError, KeyUnavailableError, NotHeldError, UncheckedError
from airlift.low.release.hub.fetch import newest_commit
from tests.support.hub_files import FILES, REPO, Told, fetch
from tests.support.hub_server import Fault, HubServer

TOKEN = "hf_" + "Secret0123" * 3


@pytest.fixture
def token(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token in the environment."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return TOKEN


@pytest.fixture
def commit(server: HubServer) -> str:
    """A commit of a private repository with files of every sort."""
    repo = server.repo(REPO)
    repo.token = TOKEN
    return repo.commit({**FILES, "in-xet.bin": b"xet" * 1000}, xet=["in-xet.bin"])


def refused(folder: Path, commit: str) -> AirliftError:
    """Return why the repository cannot be fetched."""
    with pytest.raises(AirliftError) as caught:
        fetch(folder, commit)
    assert not list(folder.iterdir())
    return caught.value


def test_a_token_goes_to_the_endpoint_alone(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert set(fetch(tmp_path, commit).paths) == {*FILES, "in-xet.bin"}
    sent = {(one.host, "authorization" in one.headers) for one in server.asked}
    assert sent == {("hub", True), ("delivery", False)}
    assert TOKEN not in "".join(str(one.headers) for one in server.asked if one.host == "delivery")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
@pytest.mark.parametrize("what", ["/api/models/", "/resolve/"])
@pytest.mark.usefixtures("token")
def test_a_token_does_not_follow_to_other_origins(
    server: HubServer, tmp_path: Path, commit: str, host: str, what: str
) -> None:
    """Another port of the same host is another origin, too; what is there is not believed without its digest."""
    away = f"http://{host}:{server.delivery.server_port}/away"
    server.faults = [Fault(what, times=99, status=302, headers={"Location": away})]
    with pytest.raises(AirliftError):
        fetch(tmp_path, commit)
    strangers = [one for one in server.asked if one.host == "delivery"]
    assert strangers or host == "127.0.0.2"  # where nobody listens
    assert [one.headers for one in strangers if "authorization" in one.headers] == []


def test_what_is_stored_in_xet_comes_by_plain_http(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Xet has tokens and hosts of its own: none is asked, whether the library for it is installed or not."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    found = fetch(tmp_path, commit, include=["in-xet.bin"])
    assert found.paths["in-xet.bin"].read_bytes() == b"xet" * 1000
    assert [one.path for one in server.asked if "xet-read-token" in one.path] == []
    assert [one.sent for one in server.asked if one.host == "delivery"] == [3000]


def test_a_gated_repository(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.repo(REPO).gated = True
    for token in (None, "hf_wrong"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        error = refused(tmp_path, commit)
        assert isinstance(error, UncheckedError)
        assert error.message == f"{REPO} at {commit} is given only to those who accepted its terms"
        assert error.exit_code == 7
        assert error.hint == f"accept them at {server.address}, set HF_TOKEN, then run the same command again"


def test_a_private_repository(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(tmp_path, commit)
    assert isinstance(error, NotHeldError)  # hubs do not tell whether it is there
    assert error.hint == "check name and revision; if it is private or gated, set HF_TOKEN"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    error = refused(tmp_path, commit)
    assert isinstance(error, KeyUnavailableError)
    assert error.exit_code == 7
    assert "403" in (error.found or "")


def test_a_branch_that_may_not_be_seen_is_not_gone(server: HubServer, commit: str) -> None:
    server.repo(REPO).gated = True
    with pytest.raises(UncheckedError, match="is given only to those who accepted its terms"):
        newest_commit(REPO, "main")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.usefixtures("token")
def test_a_server_that_repeats_the_token(
    server: HubServer, tmp_path: Path, commit: str, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.INFO)
    told = Told()
    server.faults = [
        Fault("/", times=99, status=status, headers={"X-Error-Message": f"Bearer {TOKEN} is bad"})
    ]
    with pytest.raises(AirliftError) as caught:
        fetch(tmp_path, commit, told)
    error = caught.value
    said = f"{error.message} {error.expected} {error.found} {error.hint} {told.said} {caplog.text}"
    assert TOKEN not in said
    assert "[token]" in (error.found or "")


def test_a_token_in_an_address_that_a_server_tells(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    said = "see https://user:password@cdn.example/x?X-Amz-Signature=abcdef"
    server.faults = [Fault("/", times=99, status=400, headers={"X-Error-Message": said})]
    with pytest.raises(AirliftError) as caught:
        fetch(tmp_path, commit)
    assert caught.value.found == "400 see https://cdn.example/x?..."


@pytest.mark.parametrize("token", ["hf_a b", "hf_\u00e9", "hf_a\nX-More: 1", "hf_a\x7f"], ids=ascii)
def test_a_token_that_cannot_be_sent(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(AirliftError) as caught:
        fetch(tmp_path, commit)
    error = caught.value
    assert token not in f"{error.message} {error.expected} {error.found} {error.hint}"
    assert not [one for one in server.asked if "x-more" in one.headers]


def test_a_password_in_the_address_of_the_endpoint_is_not_told(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.repo(REPO).gated = True
    monkeypatch.setenv("HF_ENDPOINT", server.address.replace("//", "//user:pass-word@"))
    error = refused(tmp_path, commit)
    assert "pass-word" not in f"{error.message} {error.found} {error.hint}"
