import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.depots import Site, signed_site
from tests.support.web_server import WebServer, serving

VARIABLES = ("AWS", "AZURE", "GOOGLE", "SSL_CERT", "DOCKER", "REGISTRY")


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without credentials, and an environment without proxies."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in (
        "NETRC",
        "XDG_RUNTIME_DIR",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    import os

    for name in list(os.environ):
        if name.startswith(VARIABLES):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serving() as found:
        yield found


@pytest.fixture(scope="session")
def _published(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return signed_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(tmp_path: Path, _published: Site) -> Site:
    shutil.copytree(_published.folder, tmp_path / "site")
    return Site(tmp_path / "site")
