"""Credentials, from where the tools of each kind keep them; nothing here writes, prints or keeps one (SPEC L2.19)."""

import base64
import binascii
import configparser
import json
import netrc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift import files
from airlift.errors import AirliftError, UncheckedError

MAX_BYTES = 1 << 20


def netrc_login(host: str) -> str | None:
    """Return the value of ``Authorization`` for a web server by ``NETRC`` or ``~/.netrc``; None if there is none.

    An entry ``default`` is not used: it would be told to whatever server another one leads to.

    Raises:
        UncheckedError: the file cannot be read.
    """
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if not path.is_file():
        return None
    try:
        with files.reading(path):
            found = netrc.netrc(str(path)).hosts.get(host)
    except (netrc.NetrcParseError, UnicodeDecodeError) as error:
        raise UncheckedError(f"{path} is not a netrc file", hint="correct it") from error
    return None if found is None else basic(found[0], found[2] or "")


def basic(user: str, password: str) -> str:
    """Return the value of ``Authorization`` for a user (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """What is kept for a registry: a user, or the name of a program that keeps one; both None if nothing is."""

    user: tuple[str, str] | None = None
    helper: str | None = None


def registry_login(host: str) -> RegistryLogin:
    """Return what is kept for a registry by ``docker login``, ``podman login``, ``skopeo login`` or ``oras login``.

    Raises:
        UncheckedError: a file cannot be read.
    """
    helper = None
    for path in _registry_files():
        document = _json(path) if path.is_file() else {}
        kept = _dict(document, "auths")
        for name in (host, f"https://{host}", f"http://{host}", f"https://{host}/v1/"):
            user = _user(_dict(kept, name).get("auth"))
            if user is not None:
                return RegistryLogin(user)
        helper = helper or _dict(document, "credHelpers").get(host) or document.get("credsStore")
    return RegistryLogin(None, str(helper)[:80] if helper else None)


def _registry_files() -> tuple[Path, ...]:
    named = os.environ.get("REGISTRY_AUTH_FILE")
    if named:
        return (Path(named),)
    running = os.environ.get("XDG_RUNTIME_DIR")
    docker = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    return (
        *((Path(running) / "containers/auth.json",) if running else ()),
        Path.home() / ".config/containers/auth.json",
        docker / "config.json",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(files.read_bounded(path, MAX_BYTES))
    except (ValueError, RecursionError, AirliftError) as error:
        raise UncheckedError(
            f"cannot read {path}", expected="credentials as JSON", hint="log in again"
        ) from error
    return document if isinstance(document, dict) else {}


def _dict(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _user(kept: Any) -> tuple[str, str] | None:
    if not isinstance(kept, str) or not kept:
        return None
    try:
        name, colon, password = base64.b64decode(kept, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def aws_profile() -> dict[str, str]:
    """Return what the profile ``AWS_PROFILE`` (``default``) keeps in the files of the AWS command line.

    Raises:
        UncheckedError: a file cannot be read.
    """
    name = os.environ.get("AWS_PROFILE") or "default"
    found: dict[str, str] = {}
    for variable, usual, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        path = Path(os.environ.get(variable) or Path.home() / ".aws" / usual)
        if path.is_file():
            found |= _section(path, section)
    return found


def _section(path: Path, section: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(files.read_bounded(path, MAX_BYTES).decode())
    except (configparser.Error, UnicodeDecodeError, AirliftError) as error:
        raise UncheckedError(f"cannot read {path}", expected="a file of the AWS command line") from error
    return dict(parser.items(section)) if parser.has_section(section) else {}
