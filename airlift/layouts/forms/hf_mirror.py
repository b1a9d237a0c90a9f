"""``hf-mirror``: a tree that any web server shows as a hub, to clients with ``HF_ENDPOINT`` (SPEC 8.7.3).

The server answers from names alone. A file's address in ``blobs`` says commit, digest and size; a link, or the name
in a folder of ``digests``, leads there from the address that a client asks for.
"""

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from airlift import strict
from airlift.bundle.component.file_entry import FileEntry
from airlift.layouts import servers
from airlift.layouts.plan import Linked, Part, Plan, Pointer, Subject, Written, merged
from airlift.layouts.repositories import COMMIT_HEX, Repository, each_file, lfs_pointer, repositories, up

HERE, ALL = "@here.json", "@all.json"


def lay_out(subject: Subject) -> Plan:
    """Return files, the ways to them, the answers about them, and the configurations that make a server give them.

    Raises:
        LayoutError: a component cannot be served as a repository, or two as one.
    """
    return merged(_parts(subject))


def _parts(subject: Subject) -> Iterator[tuple[str, Part]]:
    yield "serving/nginx.conf", Written(servers.NGINX.encode())
    yield "serving/Caddyfile", Written(servers.CADDY.encode())
    for repository in repositories(subject):
        yield from _files(repository)
        yield from _answers(repository)


def _files(repository: Repository) -> Iterator[tuple[str, Part]]:
    """Yield the files of a repository, and the two ways to each."""
    top = repository.name if repository.group == "models" else f"{repository.group}/{repository.name}"
    for commit, entry in each_file(repository):
        blob = f"{commit}-{entry.sha256}-{entry.size}"
        yield f"{top}/blobs/{blob}", Linked(replace(entry, path=blob))
        yield f"{top}/resolve/{commit}/{entry.path}", Pointer(f"{up(entry.path)}../../blobs/{blob}")
        yield f"{top}/digests/{commit}/{entry.path}/{blob}", Pointer(f"{up(entry.path)}../../../blobs/{blob}")
    for revision, commit in repository.revisions.items():
        yield f"{top}/resolve/{revision}", Pointer(commit)
        yield f"{top}/digests/{revision}", Pointer(commit)


def _answers(repository: Repository) -> Iterator[tuple[str, Part]]:
    """Yield what is answered about a repository, its revisions and its folders."""
    top = f"api/{repository.group}/{repository.name}"
    for commit, held in repository.commits.items():
        yield f"{top}/revision/{commit}.json", Written(_about(repository, commit))
        for path, listed in _listings(held).items():
            yield f"{top}/tree/{commit}/{path}", Written(strict.format(listed))
    for revision, commit in repository.revisions.items():
        yield f"{top}/revision/{revision}.json", Pointer(f"{commit}.json")
        yield f"{top}/tree/{revision}", Pointer(commit)
    yield f"{top}/refs.json", Written(_refs(repository))


def _about(repository: Repository, commit: str) -> bytes:
    listed = [entry for _, entry in sorted(repository.commits[commit].items())]
    return strict.format(
        {
            "id": repository.name,
            **({"modelId": repository.name} if repository.group == "models" else {}),
            "sha": commit,
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": [],
            "siblings": [_sibling(entry) for entry in listed],
        }
    )


def _sibling(entry: FileEntry) -> dict[str, Any]:
    blob, size = lfs_pointer(entry)
    return {
        "rfilename": entry.path,
        "size": entry.size,
        "blobId": blob,
        "lfs": {"sha256": entry.sha256, "size": entry.size, "pointerSize": size},
    }


def _refs(repository: Repository) -> bytes:
    branches = [
        {"name": revision, "ref": f"refs/heads/{revision}", "targetCommit": commit}
        for revision, commit in sorted(repository.revisions.items())
    ]
    return strict.format({"branches": branches, "converts": [], "tags": []})


def _listings(held: Mapping[str, FileEntry]) -> dict[str, list[dict[str, Any]]]:
    """Return the lists of every folder of a commit: of what lies in it, and of all below it."""
    within: dict[str, dict[str, dict[str, Any]]] = {"": {}}
    for path, entry in held.items():
        listed, above = _listed_file(entry), posixpath.dirname(path)
        for folder in _upwards(above):
            within.setdefault(folder, {})[path] = listed
    for folder in sorted(within, reverse=True):  # the deepest first: a folder's id is made of what it holds
        for outer in _upwards(posixpath.dirname(folder)) if folder else ():
            within[outer][folder] = _listed_folder(folder, list(within[folder].values()))
    found = {}
    for folder, listed_by in within.items():
        everything = [item for _, item in sorted(listed_by.items())]
        found[posixpath.join(folder, ALL)] = everything
        found[posixpath.join(folder, HERE)] = [
            item for item in everything if posixpath.dirname(item["path"]) == folder
        ]
    return found


def _upwards(folder: str) -> Iterator[str]:
    """Yield a folder and all above it, "" last."""
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
    yield ""


def _listed_file(entry: FileEntry) -> dict[str, Any]:
    blob, size = lfs_pointer(entry)
    return {
        "type": "file",
        "path": entry.path,
        "size": entry.size,
        "oid": blob,
        "lfs": {"oid": entry.sha256, "size": entry.size, "pointerSize": size},
    }


def _listed_folder(folder: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
    identity = hashlib.sha256(strict.format(listed)).hexdigest()[:COMMIT_HEX]
    return {"type": "directory", "path": folder, "size": 0, "oid": identity}
