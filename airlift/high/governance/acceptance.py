"""Acceptance: the owners' tests of a release, run in bounds before it is activated (SPEC 7.10-3, 7.10-6)."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from airlift import __version__, strict
from airlift.bundle.fields import format_time
from airlift.bundle.release import Release
from airlift.commands.run import Outcome, ask, run_confined
from airlift.errors import AcceptanceError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.policy import PolicyDocument
from airlift.high.enclave.switching.hooks import words_for
from airlift.high.governance import attestations
from airlift.high.governance.record_attestations import record_attestation
from airlift.ledger.state import State
from airlift.policy.document import EVALUATION, Command
from airlift.trust.statements import predicates, statement
from airlift.trust.statements.predicates import TEST_RESULT
from airlift.trust.statements.statement import Attestation
from airlift.trust.tuf.roles import Member

ACTION = "accept"
"""What commands are told that is being done."""
_OBJECTED = (
    "ask the low side for another release, or for a waiver (`accept`) that `waivers` of the policy permit"
)


@dataclass(frozen=True, slots=True)
class Test:
    """A test of acceptance, and the digest (SHA-512, hex) of all that its result depends on but the release."""

    command: Command
    digest: str


def tests_of(document: PolicyDocument, chosen: Sequence[str]) -> tuple[Test, ...]:
    """Return the tests that a policy asks for, of a release with the ``chosen`` of its variants (SPEC 7.14-7)."""
    return tuple(Test(command, _digest(command, document, chosen)) for command in document.policy.acceptance)


def lacking(enclave: Enclave, state: State, release: Release) -> tuple[Test, ...]:
    """Return the tests that a release, in a choice, has not passed as policy and its files are now."""
    wanted = tests_of(policy.load_document(enclave, state), release.chosen)
    if not wanted:
        return ()
    passed = _passed(enclave, release.digest)
    return tuple(test for test in wanted if not passed.get(test.digest, False))


def accept(enclave: Enclave, release: Release, operator: Operator) -> tuple[Outcome, ...]:
    """Run the tests that an installed release, in a choice, has not passed, and record what they say.

    The caller holds the lock; the tree is there.

    Raises:
        AcceptanceError: one does not accept it; all that ran are recorded.
    """
    state = enclave.state()
    found = []
    for test in lacking(enclave, state, release):
        outcome = (
            _ask_gate(enclave, release, test) if test.command.gate else _run(enclave, state, release, test)
        )
        made = _attest(enclave, release, test, outcome, operator)
        record_attestation(enclave, made, operator, name=f"acceptance {test.command.name}", dry_run=False)
        found.append(outcome)
    failed = [outcome for outcome in found if not outcome.passes]
    if failed:
        raise AcceptanceError(
            f"release {release.label} was not accepted by {', '.join(outcome.name for outcome in failed)}",
            expected=failed[0].expected,
            found=failed[0].verdict,
            hint=None if failed[0].objections is None else _OBJECTED,
            data={"acceptance": [outcome.shown() for outcome in found]},
        )
    return tuple(found)


def _run(enclave: Enclave, state: State, release: Release, test: Test) -> Outcome:
    words = words_for(enclave, state, ACTION, release.digest, release.chosen)
    return run_confined(test.command, enclave.policy_path(state.policy or ""), words)


def _ask_gate(enclave: Enclave, release: Release, test: Test) -> Outcome:
    """Return what airlift's own gate says of the installed files, save what the release's waivers let through."""
    from airlift.intake.examine import examine_release

    tree = enclave.release_path(release.digest, release.chosen)
    return ask(test.command.name, lambda: map(str, examine_release(release, tree, attrgetter("folder"))))


def _attest(
    enclave: Enclave, release: Release, test: Test, outcome: Outcome, operator: Operator
) -> Attestation:
    """Return the signed result of a test: an in-toto test result, or a scan's verdict."""
    named = {"name": test.command.name, "digest": {"sha512": test.digest}}
    entries = enclave.state().size  # so that a test that is run again states something new (SPEC 4.5-5)
    told = {**outcome.annotations(), "entries": entries}
    subject = [(release.label, release.digest)]
    if test.command.kind != EVALUATION:
        time = format_time(operator.now)
        verdict = {"verdict": "pass" if outcome.passes else "fail", "enclave": enclave.name, "time": time}
        predicate = {**verdict, "configuration": [{**named, "annotations": told}]}
        return statement.attest(subject, predicates.own_type(test.command.kind), predicate, operator.signer)
    predicate = {
        "result": "PASSED" if outcome.passes else "FAILED",
        "configuration": [{**named, "annotations": told}],
        "passedTests": [test.command.name] if outcome.passes else [],
        "failedTests": [] if outcome.passes else [test.command.name],
    }
    return statement.attest(subject, TEST_RESULT, predicate, operator.signer)


def _passed(enclave: Enclave, release: str) -> dict[str, bool]:
    """Return for each test (by digest) what its last result says, of those that the ledger's key signed."""
    with enclave.ledger() as log:
        own = (Member(log.public, enclave.name),)
    found: dict[str, bool] = {}
    for recorded in attestations.recorded_about(enclave, release):
        item = attestations.load_attestation(enclave, recorded.digest)
        if attestations.valid_signers(item, own):
            found |= dict.fromkeys(_tests_in(item), item.statement.passes)
    return found


def _tests_in(item: Attestation) -> Iterator[str]:
    """Yield the digests of the tests that a result is of."""
    configured = item.statement.predicate.get("configuration")
    for named in configured if isinstance(configured, list) else ():
        digests = named.get("digest") if isinstance(named, dict) else None
        if isinstance(digests, dict) and isinstance(digests.get("sha512"), str):
            yield digests["sha512"]


def _digest(command: Command, document: PolicyDocument, chosen: Sequence[str]) -> str:
    variants = {"variants": list(chosen)} if chosen else {}
    if command.gate:  # a newer gate may know more: it judges again
        named = {"name": command.name, "kind": command.kind, "gate": command.gate, "airlift": __version__}
        return hashlib.sha512(strict.format(named | variants)).hexdigest()
    return hashlib.sha512(
        strict.format(
            {
                "command": list(command.argv),
                "kind": command.kind,
                "name": command.name,
                "timeout": command.timeout,
                "memory": command.memory,
                "processes": command.processes,
                "files": document.file_digests,
                **variants,
            }
        )
    ).hexdigest()
