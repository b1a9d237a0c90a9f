"""Variants: the forms that a component comes in, told apart by labels, and rules that choose among them (SPEC 5.7).

>>> variant = Variant("base", (("format", "gguf"), ("precision", "int4")))
>>> parse_rule("base=precision:int4").fits(variant)
True
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.fields import COMPONENT_NAME
from airlift.errors import MalformedError, UsageError

MAX_LABELS = 16
MAX_RULES = 256

Labels = tuple[tuple[str, str], ...]
"""Pairs of key and value, sorted by key."""

_KEY = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Variant:
    """What makes a component a variant: the name ``of`` what it is a form of, and its labels."""

    of: str
    labels: Labels

    def __str__(self) -> str:
        """Return it as people read it: ``variant of base: precision int4``."""
        return f"variant of {self.of}: {told(self.labels)}"

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"of": self.of, "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True)
class Rule:
    """Choose the variant that has all of these labels: of ``component``, or of any if that is None (SPEC 5.7-5)."""

    labels: Labels
    component: str | None = None

    def fits(self, variant: Variant) -> bool:
        """Say whether it is about this variant, which has all of its labels."""
        return self.component in {None, variant.of} and set(self.labels) <= set(variant.labels)

    def __str__(self) -> str:
        """Return it as :func:`parse_rule` takes it."""
        labels = ",".join(f"{key}:{value}" for key, value in self.labels)
        return labels if self.component is None else f"{self.component}={labels}"

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        component = {} if self.component is None else {"component": self.component}
        return {**component, "labels": dict(self.labels)}


def told(labels: Labels) -> str:
    """Return labels as people read them."""
    return ", ".join(f"{key} {value}" for key, value in labels)


def from_json(document: Any) -> Variant:
    """Parse what a component of a manifest says of itself as a variant.

    Raises:
        MalformedError: it breaks SPEC 5.7.
    """
    what = "release manifest: variant"
    strict.only(document, frozenset({"of", "labels"}), what)
    labels = parse_labels(strict.member(document, "labels", dict, what), what)
    return Variant(fields.name(document, "of", what, COMPONENT_NAME), labels)


def rule_from_json(document: Any, what: str) -> Rule:
    """Parse a rule.

    Raises:
        MalformedError: it breaks SPEC 5.7-5.
    """
    strict.only(document, frozenset({"component", "labels"} if "component" in document else {"labels"}), what)
    component = fields.name(document, "component", what, COMPONENT_NAME) if "component" in document else None
    return Rule(parse_labels(strict.member(document, "labels", dict, what), what), component)


def parse_labels(labels: Mapping[Any, Any], what: str) -> Labels:
    """Return labels, sorted.

    Raises:
        MalformedError: there are none or too many, or one is no pair of words (SPEC 5.7-2).
    """
    if not 1 <= len(labels) <= MAX_LABELS:
        raise MalformedError(f"{what}: too few labels, or too many", expected=f"1 to {MAX_LABELS}")
    for key, value in labels.items():
        if type(value) is not str or not _KEY.match(key) or not _VALUE.match(value):
            raise MalformedError(
                f"{what}: a label is no pair of words", found=f"{key[:40]!a}: {ascii(value)[:80]}"
            )
    return tuple(sorted(labels.items()))


def parse_rule(text: str) -> Rule:
    """Return the rule that ``[COMPONENT=]KEY:VALUE[,KEY:VALUE...]`` stands for.

    Raises:
        UsageError: it is none.
    """
    component, equals, rest = text.rpartition("=")
    pairs = [part.partition(":") for part in rest.split(",")]
    labels = {key: value for key, _, value in pairs}
    good = len(labels) == len(pairs) <= MAX_LABELS and (not equals or COMPONENT_NAME.match(component))
    if not good or not all(_KEY.match(key) and _VALUE.match(value) for key, value in labels.items()):
        raise UsageError(
            f"not a choice of variants: {text[:80]!a}",
            expected="[COMPONENT=]KEY:VALUE[,KEY:VALUE...]",
            hint="for example --variant base=precision:int4",
        )
    return Rule(tuple(sorted(labels.items())), component if equals else None)


def expand(items: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield authored components, each variant as one of its own (SPEC L3.10).

    What it does not say it has of its component; one that is taken over from an enclave has it from there.
    """
    for item in items:
        common = {key: value for key, value in item.items() if key not in {"name", "variants"}}
        taken = {"kind": common.get("kind"), "version": common.get("version")}
        for own in item.get("variants", ()):
            said = {key: value for key, value in own.items() if key != "labels"}
            variant = {"of": item["name"], "labels": own["labels"]}
            yield {**(taken if "enclave" in own["source"] else common), **said, "variant": variant}
        if "variants" not in item:
            yield item


def authored(item: Mapping[str, Any]) -> Variant | None:
    """Return what an authored component, after :func:`expand`, is as a variant; None if it is none."""
    stated = item.get("variant")
    return None if stated is None else Variant(stated["of"], tuple(sorted(stated["labels"].items())))
