"""``ollama``: a store of Ollama: manifests by name, and blobs; models are the files as they are (SPEC 8.7.4)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from airlift import strict
from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import FormatTooNewError, LayoutError, MalformedError
from airlift.layouts.blobs import (
    Blob,
    blob_of_data,
    blob_of_document,
    blob_of_file,
    check_distinct,
    stored,
)
from airlift.layouts.plan import Plan, Subject, Written
from airlift.tensors.formats import gguf
from airlift.tensors.formats.gguf import Header

BLOBS = "blobs/sha256-"
HOST, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.ollama.image."
MAX_TEXT = 1 << 20

MODEL, ADAPTER, PROJECTOR = "model", "adapter", "projector"
TEXTS: Mapping[str, str] = {
    "parameters.json": "params",
    "params": "params",
    "system": "system",
    "system.txt": "system",
    "template": "template",
    "template.txt": "template",
}
"""What a file of one of these names says; those without a suffix are the names that hubs know."""

FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4",
    40: "Q1_0",
}  # fmt: skip
"""What ``general.file_type`` of a GGUF file means (llama.h, enum llama_ftype)."""

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_-])?"
_NAME = re.compile(
    rf"(?:(?:(?P<host>{_PART})/)?(?P<namespace>[A-Za-z0-9_][A-Za-z0-9_-]{{0,79}})/)?(?P<model>{_PART})(?::(?P<tag>{_PART}))?\Z"
)
_LICENSE = re.compile(r"(?:un)?licen[cs]e|copying", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Weights:
    """A GGUF file: what it is to a model, and its header."""

    entry: FileEntry
    role: str
    header: Header


@dataclass(frozen=True, slots=True)
class _Model:
    """A model to be served: ``asked`` are the components that may have words for it, the nearest first."""

    name: str
    weights: tuple[_Weights, ...]
    asked: tuple[Component, ...]


def lay_out(subject: Subject) -> Plan:
    """Return ``manifests/HOST/NAMESPACE/MODEL/TAG`` for every model, and ``blobs/sha256-...`` for what these name.

    Raises:
        LayoutError: something is no GGUF file, in several parts, an adapter without its base, or said twice.
        ContentDamagedError, UncheckedError: a file is damaged or cannot be read.
    """
    held = {component.folder: _weights(subject, component) for component in subject.components}
    words = _words(subject)
    _check_fit(subject, held, {component for component, _ in words})
    models = [model for component in subject.components for model in _models(subject, component, held)]
    check_distinct(
        (model.name, f"{model.asked[0].folder}/{model.weights[-1].entry.path}") for model in models
    )
    plan, blobs = dict[str, Written](), list[Blob]()
    for model in models:
        layers = list(_layers(subject, model, words))
        config = blob_of_document(_config(model, layers))
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [_descriptor(LAYER + kind, blob) for kind, blob in layers],
        }
        plan[f"manifests/{model.name}"] = Written(strict.format(manifest))
        blobs += [config, *(blob for _, blob in layers)]
    return {**plan, **stored(blobs, BLOBS)}


# -- what is served ------------------------------------------------------------------------------------------------


def _weights(subject: Subject, component: Component) -> tuple[_Weights, ...]:
    return tuple(
        _weigh(subject, component, entry) for entry in component.files if entry.path.lower().endswith(".gguf")
    )


def _weigh(subject: Subject, component: Component, entry: FileEntry) -> _Weights:
    where = f"{component.folder}/{entry.path}"
    try:
        header = gguf.header_of(lambda length: subject.head(entry, length), entry.size, values=True)
    except (FormatTooNewError, MalformedError) as error:
        raise LayoutError(f"{where} cannot be read as GGUF: {error.message}", found=error.found) from error
    if header.split is not None:
        raise LayoutError(
            f"{where} is part {header.split[0] + 1} of {header.split[1]} of a model, and Ollama takes whole ones",
            hint="join the parts with `llama-gguf-split --merge` before they are released",
        )
    kind = header.values.get("general.type")
    architecture = header.values.get("general.architecture")
    if kind == "adapter":
        return _Weights(entry, ADAPTER, header)
    if kind in ("mmproj", "projector") or architecture == "clip":
        return _Weights(entry, PROJECTOR, header)
    return _Weights(entry, MODEL, header)


def _check_fit(subject: Subject, held: Mapping[str, Sequence[_Weights]], spoken: set[str]) -> None:
    """Check that every component can be served: nothing is left out without a word."""
    fit = [name for name, weights in held.items() if weights or name in spoken]
    unfit = [name for name in held if name not in fit]
    served = any(held.values())
    if served and not unfit:
        return
    options = " ".join(f"--component {name}" for name in fit)
    raise LayoutError(
        f"Ollama cannot serve {', '.join(unfit[:20]) or subject.release.label}",
        expected="components with GGUF files, and prompts with " + ", ".join(sorted(TEXTS)),
        found="no such file in them",
        hint=f"serve what can be: {options}"
        if served
        else "convert the weights to GGUF before they are released, or choose another layout: see docs/layouts.md",
    )


def _models(
    subject: Subject, component: Component, held: Mapping[str, Sequence[_Weights]]
) -> Iterator[_Model]:
    """Yield the models that a component is served as: one for each that it holds, or its base with the adapter."""
    own = held[component.folder]
    models = [weights for weights in own if weights.role == MODEL]
    beside = tuple(weights for weights in own if weights.role != MODEL)
    for weights in models:
        suffix = f"-{_stem(weights.entry)}" if len(models) > 1 else ""
        yield _Model(_name(subject, component, suffix), (weights, *beside), (component,))
    if not models and own:
        base, found = _base(subject, component, held)
        yield _Model(_name(subject, component, ""), (*found, *beside), (component, base))


def _base(
    subject: Subject, component: Component, held: Mapping[str, Sequence[_Weights]]
) -> tuple[Component, tuple[_Weights, ...]]:
    """Return the component that an adapter or projector belongs to, with its model and projectors."""
    parents = [parent for parent in component.parents if parent.relation == "adapter-of"]
    wanted = [parent.name for parent in parents]
    for base in subject.components:
        found = held[base.folder]
        is_meant = any(base.answers_to(p.name) or p.digest == base.digest for p in parents)
        if is_meant and sum(weights.role == MODEL for weights in found) == 1:
            ordered = sorted(found, key=lambda weights: weights.role != MODEL)
            return base, tuple(weights for weights in ordered if weights.role != ADAPTER)
    raise LayoutError(
        f"{component.folder} is made for a model that is not served with it",
        expected=f"one GGUF model in {wanted[0]}" if wanted else "a parent with the relation adapter-of",
        found=", ".join(held),
        hint=f"serve its base too: --component {wanted[0]}"
        if wanted
        else "say in the release manifest what it was made for: parents, with the relation adapter-of",
    )


def _name(subject: Subject, component: Component, suffix: str) -> str:
    """Return HOST/NAMESPACE/MODEL/TAG of a component, in lower case."""
    given = subject.names.get(component.folder, f"{component.folder}:{component.version.replace('+', '_')}")
    match = _NAME.match(given)
    name = "/".join(
        (
            (match["host"] or HOST),
            (match["namespace"] or NAMESPACE),
            match["model"],
            (match["tag"] or TAG) + suffix,
        )
        if match
        else ()
    ).lower()
    if not match or len(name.rpartition("/")[2]) > 80:
        raise LayoutError(
            f"{component.folder} cannot be served under this name",
            expected="NAME, NAME:TAG or NAMESPACE/NAME:TAG, each part of at most 80 letters, digits and ._-",
            found=ascii((given + suffix)[:160]),
            hint=f"serve it under another name: --as {component.folder}=NAME:TAG",
        )
    return name


def _stem(entry: FileEntry) -> str:
    """Return what tells several models of a component apart: the name of the file, fit for a tag."""
    return re.sub(r"[^a-z0-9_.-]", "-", entry.path[: -len(".gguf")].rpartition("/")[2].lower())


# -- layers --------------------------------------------------------------------------------------------------------


def _layers(
    subject: Subject, model: _Model, words: Mapping[tuple[str, str], Mapping[str, FileEntry]]
) -> Iterator[tuple[str, Blob]]:
    """Yield kind and blob of every layer: weights, then words, then licences."""
    for weights in model.weights:
        yield weights.role, blob_of_file(weights.entry)
    places = [component.folder for component in model.asked]
    for kind in ("template", "system", "params"):
        entry = _said(kind, words, [*places, ""]) or _said(
            kind, {(n, n): _own(subject, n) for n in places}, places
        )
        if entry is not None:
            _check_words(subject, kind, entry)
            yield kind, blob_of_file(entry)
    for component in model.asked:
        texts = [e for e in component.files if _LICENSE.match(e.path) and e.size <= MAX_TEXT]
        yield from (("license", blob_of_file(entry)) for entry in texts)
        if not texts:
            yield "license", blob_of_data(f"{component.license}\n".encode())


def _words(subject: Subject) -> dict[tuple[str, str], dict[str, FileEntry]]:
    """Return what prompts say, by the prompt's name and the component that it is said of ("": of all), by kind."""
    known = {component.folder for component in subject.components}
    found: dict[tuple[str, str], dict[str, FileEntry]] = {}
    for component in subject.components:
        for entry in component.files if component.kind == "prompt" else ():
            folder, _, name = entry.path.rpartition("/")
            if name in TEXTS and (not folder or folder in known):
                _add(found.setdefault((component.folder, folder), {}), TEXTS[name], entry)
    return found


def _own(subject: Subject, name: str) -> dict[str, FileEntry]:
    """Return what a component says of itself, by kind."""
    found: dict[str, FileEntry] = {}
    for component in subject.components:
        for entry in component.files if component.folder == name else ():
            if entry.path in TEXTS:
                _add(found, TEXTS[entry.path], entry)
    return found


def _add(found: dict[str, FileEntry], kind: str, entry: FileEntry) -> None:
    other = found.setdefault(kind, entry)
    if other != entry:
        raise LayoutError(
            f"{other.path} and {entry.path} of a component say the same thing", hint="keep one of them"
        )


def _said(
    kind: str, words: Mapping[tuple[str, str], Mapping[str, FileEntry]], places: Sequence[str]
) -> FileEntry | None:
    """Return the file that says something of the first of these places of which anything says it."""
    for place in places:
        found = {by: said[kind] for (by, of), said in words.items() if of == place and kind in said}
        if len({entry.sha256 for entry in found.values()}) > 1:
            raise LayoutError(
                f"{' and '.join(sorted(found))} both say what is the {kind} of {place or 'every model'}",
                hint="name one of them with --component, or put their files into folders named for the models",
            )
        for entry in found.values():
            return entry
    return None


def _check_words(subject: Subject, kind: str, entry: FileEntry) -> None:
    """Check that Ollama can read a file: it says so only when somebody asks the model."""
    if entry.size > MAX_TEXT:
        raise LayoutError(
            f"{entry.path} is too long", expected=f"at most {MAX_TEXT} bytes", found=f"{entry.size}"
        )
    data = subject.read(entry)
    try:
        text = data.decode()
        given = (
            strict.parse_any(data, limit=MAX_TEXT, what=entry.path, floats=True) if kind == "params" else {}
        )
    except (UnicodeDecodeError, MalformedError) as error:
        raise LayoutError(
            f"{entry.path} cannot be read", expected="a JSON object" if kind == "params" else "text in UTF-8"
        ) from error
    if kind == "template" and "{%" in text:
        raise LayoutError(
            f"{entry.path} is a Jinja template, and Ollama takes those of Go",
            expected="{{ .Prompt }} and the like",
            hint="leave it out: Ollama reads the template in the GGUF file; or write it as a template of Go",
        )
    if not isinstance(given, dict) or not all(map(_is_parameter, given.items())):
        raise LayoutError(
            f"{entry.path} has parameters that Ollama does not take",
            expected='an object of numbers, texts and booleans, and "stop" with a list of texts',
        )


def _is_parameter(pair: tuple[str, object]) -> bool:
    name, value = pair
    if name == "stop" or isinstance(value, list):
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    return isinstance(value, str | int | float)


# -- documents -----------------------------------------------------------------------------------------------------


def _config(model: _Model, layers: Sequence[tuple[str, Blob]]) -> dict[str, object]:
    """Return what Ollama shows of a model."""
    header = model.weights[0].header
    family = header.values.get("general.architecture", "unknown")
    return {
        "model_format": "gguf",
        "model_family": family,
        "model_families": [family],
        "model_type": human_number(header.numbers),
        "file_type": FILE_TYPES.get(_file_type(header), "unknown"),
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{blob.digest}" for _, blob in layers]},
    }


def _file_type(header: Header) -> int:
    value = header.values.get("general.file_type", -1)
    return value if isinstance(value, int) else -1


def human_number(count: int) -> str:
    """Return a number of parameters as people say it.

    >>> [human_number(n) for n in (999, 135_000, 135_250_000, 7_000_000_000, 7_240_000_000)]
    ['999', '135K', '135.25M', '7B', '7.2B']
    """
    for unit, letter, digits in ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0)):
        if count >= unit:
            return f"{count / unit:.{digits if count % unit else 0}f}{letter}"
    return str(count)


def _descriptor(media_type: str, blob: Blob) -> dict[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{blob.digest}", "size": blob.size}
