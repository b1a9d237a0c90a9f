"""Judge one file of a component: what a waiver can meet is told, what none can meet is refused (SPEC L2.4 to L2.7).

A pickle runs code when it is loaded; so do Python files that a model's configuration names (``auto_map``). Reads are
bounded, and nothing is ever loaded.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from airlift.bundle.paths import suffix
from airlift.intake.gate.drift.facts import read_facts
from airlift.intake.gate.forms.form import check_file
from airlift.intake.gate.inspection import Finding, inspect
from airlift.intake.gate.references import check_external, check_index, remote_code
from airlift.intake.gate.unfinished import check_whole
from airlift.intake.gate.verdict import CODE, PICKLE, Objection, Verdict
from airlift.intake.gate.views import view_file

_TENSORFLOW = re.compile(r"\.data-\d{5}-of-\d{5}")
CODELESS_KINDS = frozenset({"model", "adapter", "guard", "tokenizer"})

_CONVERT = "convert the weights to safetensors, or accept it in the manifest; then run the same command again"
_REVIEW = "leave it out, and bring code in by the way that code is reviewed; or accept it in the manifest"


def judge(kind: str, relative: str, descriptor: int, paths: frozenset[str]) -> Verdict:
    """Judge an open file of a component of this kind; ``paths`` are all files of the component.

    Raises:
        ForbiddenFileError: what no waiver can meet: a file that was not fetched whole, an index that names anything
            but files of its own folder, a configuration that is too long to be one, what is not of the kind's form.
        UncheckedError: it cannot be read.
    """
    view = view_file(descriptor, relative)
    check_whole(relative, view, paths)
    form = check_file(kind, relative, view)
    if form:
        return Verdict((), form)
    check_index(relative, view, paths)
    found = inspect(view, relative)
    if found.recognised == "ONNX":
        check_external(relative, view, paths)
    remote = remote_code(relative, view) if kind in CODELESS_KINDS else None
    objections = (*_objections(kind, relative, found), *([remote] if remote else ()))
    stated = read_facts(relative, view) if kind in CODELESS_KINDS else None
    return Verdict(objections, found.recognised or _beside(relative, paths), found.remark, stated)


def _objections(kind: str, relative: str, found: Finding) -> Iterator[Objection]:
    """Yield what a finding amounts to: programs are refused only where a component must not bring any."""
    if found.pickle:
        message = f"{relative} is or holds {found.pickle}, judging by its content"
        yield Objection(PICKLE, relative, message, hint=_CONVERT)
    if found.code:
        yield Objection(CODE, relative, f"{relative} holds {found.code}", hint=_REVIEW)
    elif found.program and kind in CODELESS_KINDS:
        message = f"{relative} is code or holds it, and a component of kind {kind} must not bring any"
        yield Objection(CODE, relative, message, found=found.program, hint=_REVIEW)


def _beside(relative: str, paths: frozenset[str]) -> str:
    """Return what a file of bare numbers is for the description that lies beside it."""
    ending = suffix(relative)
    if ending.lower() != ".bin" and not ending.startswith(".data-"):
        return ""
    path = PurePosixPath(relative)
    if _TENSORFLOW.fullmatch(path.suffix) and path.with_suffix(".index").as_posix() in paths:
        return "TensorFlow variables"
    if path.suffix.lower() == ".bin" and path.with_suffix(".xml").as_posix() in paths:
        return "OpenVINO weights"
    return ""
