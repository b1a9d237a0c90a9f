"""What entries of each type say: as code writes them now, as it wrote them once, and what is refused (SPEC 9.2)."""

from dataclasses import replace
from typing import Any

import pytest

from airlift.errors import LedgerError, MalformedError
from airlift.ledger import details
from airlift.ledger import entry as entries
from airlift.ledger.entries.activations import ActivateCommit, ActivatePrepare, SwitchCommit
from airlift.ledger.entries.administration import Gc
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.imports import ImportCommit
from airlift.ledger.entries.kinds import CLOSES, DETAILS, INTENTS, TYPES
from airlift.ledger.entries.shape import Detail
from airlift.ledger.entry import Draft, Entry
from tests.support import details as samples
from tests.support.details import ADA, EVERY
from tests.support.ledgers import R1, TIME

REQUIRED = {
    "enroll": "enclave ledger_key minimum_sequence policy root_fingerprint root_version",
    "import-prepare": "baseline bundle_manifest sequence target",
    "import-commit": "baseline bundle_manifest bundler_keys chunk_bytes components files_built holders issued marking"
    " metadata overtaken release revocations sequence signers trust volumes",
    "import-reject": "code exit",
    "activate-prepare": "previous release",
    "activate-commit": "previous release",
    "rollback-prepare": "previous release",
    "rollback-commit": "previous release",
    "abort": "reason undoes",
    "policy": "keys sha512",
    "gc": "releases",
    "attestation": "holders kind passes sha512 signers subject",
    "witness": "",
    "roots": "",
    "floor": "name previous reason signatures version",
    "revocations": "covers sha512",
    "withdraw-prepare": "previous release",
    "withdraw-commit": "previous release",
    "relay": "bundle_manifest receipt to volume_names",
    "register": "components from marking registered release",
    "export": "components follow layout names output release",
    "unfollow": "output",
}
"""The table of SPEC 9.2, without what is optional: what the first version that wrote a type has in it."""

FIRST: dict[str, Any] = {
    "bundle_manifest": "1" * 128,
    "sequence": 1,
    "issued": TIME,
    "baseline": {"digest": "2" * 128, "name": "assistant", "version": "0"},
    "marking": {"level": "SECRET", "caveats": ["NOFORN"]},
    "overtaken": False,
    "bundler_keys": [ADA],
    "trust": {"folder": "00000001", "digest": "f" * 96},
    "metadata": {"root": 1},
    "signers": {"targets": [ADA]},
    "holders": {ADA: "Ada"},
    "release": None,
    "components": [{"name": "base", "kind": "model", "version": "1", "digest": "3" * 128}],
    "volumes": 1,
    "chunk_bytes": 5,
    "files_built": 2,
    "revocations": "4" * 128,
}
"""An import-commit as the first version of the high side wrote it."""


def entry(kind: str, detail: dict[str, Any]) -> Entry:
    return Draft(kind, "admin", TIME, R1, "alpha-1", detail).at(4)


def ids(said: Detail) -> str:
    return said.TYPE


def test_the_registry_has_every_type_once_and_in_order() -> None:
    assert tuple(REQUIRED) == TYPES == tuple(DETAILS)
    assert {said.TYPE for said in EVERY} == set(TYPES)
    assert all(DETAILS[said.TYPE] is type(said) for said in EVERY)
    assert {f"{kind.removesuffix('commit')}prepare" for kind in CLOSES} == INTENTS


@pytest.mark.parametrize("said", EVERY, ids=ids)
def test_every_type_is_a_frozen_value_that_reads_back(said: Detail) -> None:
    assert not hasattr(said, "__dict__")
    assert getattr(type(said), "__dataclass_params__").frozen  # noqa: B009 - no public name for it
    detail = said.format()
    stored = entries.parse(entries.format(entry(said.TYPE, detail)))
    again = details.read(stored, type(said))
    assert again == said
    assert again.format() == stored.detail == detail


@pytest.mark.parametrize("said", EVERY, ids=ids)
def test_what_must_be_there_is_what_the_specification_says(said: Detail) -> None:
    detail = said.format()
    must = set()
    for key in detail:
        try:
            said.parse({name: value for name, value in detail.items() if name != key}, "entry")
        except MalformedError:
            must.add(key)
    assert must == set(REQUIRED[said.TYPE].split())


@pytest.mark.parametrize("said", [said for said in EVERY if said.format()], ids=ids)
def test_a_value_of_another_type_is_refused_with_the_entry_named(said: Detail) -> None:
    detail = said.format()
    for key in detail:
        odd: Any
        for odd in (1.5, ["x", {}], {"x": [{}]}):
            with pytest.raises(LedgerError, match=rf"entry 4 \({said.TYPE}\)"):
                details.read(entry(said.TYPE, {**detail, key: odd}), type(said))


@pytest.mark.parametrize("said", EVERY, ids=ids)
def test_keys_of_later_versions_are_ignored(said: Detail) -> None:
    assert said.parse({**said.format(), "later": {"x": 1}}, "entry") == said


def test_an_import_as_the_first_version_wrote_it() -> None:
    said = details.read(entry("import-commit", FIRST), ImportCommit)
    assert (said.volume_names, said.codecs, said.attestations, said.vendor_signatures) == ((), {}, (), ())
    assert said.insecure_expired is None
    assert {key: said.format()[key] for key in FIRST} == FIRST
    assert ImportCommit.parse(said.format(), "entry") == said
    assert details.attestations(entry("import-commit", FIRST)) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"bundle_manifest": "F" * 128},
        {"bundle_manifest": "1" * 127},
        {"issued": "yesterday"},
        {"trust": {"folder": "../roots", "digest": "f" * 96}},
        {"trust": {"folder": "00000001"}},
        {"metadata": {"root": True}},
        {"signers": {"targets": [1]}},
        {"components": [{"name": "base", "kind": "model", "version": "1"}]},
        {"release": {"name": "assistant", "version": "1"}},
        {"marking": {"level": "SECRET", "caveats": ["B", "A"]}},
        {"insecure_expired": None},
    ],
)
def test_an_import_that_is_not_one(change: dict[str, Any]) -> None:
    with pytest.raises(LedgerError):
        details.read(entry("import-commit", {**FIRST, **change}), ImportCommit)


def test_an_entry_is_read_as_its_type_or_what_several_types_share() -> None:
    commit = entry("activate-commit", ActivateCommit(None, samples.NAMED).format())
    assert details.read(commit, SwitchCommit) == details.read(commit, ActivateCommit)
    with pytest.raises(LedgerError, match="is of type activate-commit"):
        details.read(commit, Gc)


def test_an_intent_says_what_its_commit_says() -> None:
    intent = ActivatePrepare("2" * 128, samples.NAMED)
    assert intent.commit().format() == intent.format()
    assert intent.commit(recovered=7).format() == {**intent.format(), "recovered": 7}
    for said in EVERY:
        if said.TYPE in INTENTS and isinstance(said, ActivatePrepare):
            assert CLOSES[said.commit().TYPE] == said.TYPE


def test_parts_are_read_alone() -> None:
    """A question about one part does not parse, nor refuse, the rest."""
    scan = samples.attestation()
    commit = {**replace(samples.commit(1), attestations=(scan,)).format(), "issued": 1}
    assert details.attestations(entry("import-commit", commit)) == (scan,)
    assert details.components(entry("import-commit", commit)) == samples.commit(1).components
    assert details.bundle_manifest(entry("import-commit", commit)) == f"{1:0128x}"
    told = details.imported_state(entry("import-commit", {**FIRST, "components": 1}))
    assert (told.sequence, told.trust.folder, told.bundler_keys) == (1, "00000001", (ADA,))
    with pytest.raises(LedgerError, match="is of type gc"):
        details.imported_state(entry("gc", FIRST))
    alone = entry(RecordedAttestation.TYPE, scan.format())
    assert (details.attestations(alone), details.components(alone), details.bundle_manifest(alone)) == (
        (scan,),
        (),
        None,
    )
    for kind, part in (("import-commit", details.components), ("import-prepare", details.bundle_manifest)):
        with pytest.raises(LedgerError, match="lacks"):
            part(entry(kind, {}))
