"""Init: make an enclave by pinning a root whose fingerprint was compared out of band (SPEC 8.3)."""

from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from airlift import files
from airlift.bundle.fields import ENCLAVE_NAME
from airlift.bundle.manifest import ANY_ENCLAVE, MAX_SEQUENCE
from airlift.errors import SignatureError, UsageError
from airlift.high.enclave import policy as policies
from airlift.high.enclave.enclave import CONFIG, MAX_CONFIG_BYTES, MAX_METADATA_BYTES, Enclave, Operator
from airlift.ledger import log
from airlift.ledger.entries.setup import Enroll
from airlift.store import folders
from airlift.trust.tuf import root as root_metadata


@dataclass(frozen=True, slots=True)
class InitResult:
    """What was pinned, in which enclave."""

    enclave: str
    folder: str
    fingerprint: str
    root_version: int
    ledger_key: str


def root_fingerprint(root: Path) -> str:
    """Return the fingerprint of a root.json that signs itself: what people compare before pinning it."""
    return _fingerprint(files.read_bounded(root, MAX_METADATA_BYTES))


def _fingerprint(data: bytes) -> str:
    root_metadata.verify_self_signed(data)
    return root_metadata.fingerprint(data)


def normalise(fingerprint: str) -> str:
    """Return a fingerprint as typed by a person in its plain form: hex digits only, lower case."""
    return "".join(c for c in fingerprint.lower() if c not in " :-\t\n")


def init_enclave(
    folder: Path,
    *,
    root: Path,
    expected: str,
    name: str,
    ledger_key: str,
    operator: Operator,
    policy: Path | None = None,
    minimum_sequence: int = 1,
    dry_run: bool = False,
) -> InitResult:
    """Create the enclave ``name`` in ``folder``, trusting the root whose fingerprint is ``expected``.

    Raises:
        UsageError: the name is not usable.
        ExistsError: there is something in ``folder`` already.
        SignatureError: the root does not sign itself, or has another fingerprint.
    """
    if not ENCLAVE_NAME.match(name) or name == ANY_ENCLAVE:
        raise UsageError(f"not an enclave name: {name!a}", expected="a-z, 0-9 and '-', at most 24, not 'any'")
    if not 1 <= minimum_sequence <= MAX_SEQUENCE:
        raise UsageError("the minimum sequence is out of range", expected=f"1 to {MAX_SEQUENCE}")
    folders.check_free(folder, "choose another folder with --enclave")
    data = files.read_bounded(root, MAX_METADATA_BYTES)
    fingerprint = _fingerprint(data)
    if normalise(expected) != fingerprint:
        raise SignatureError(
            "the root has another fingerprint than the one that was compared",
            expected=normalise(expected),
            found=fingerprint,
            hint="do not use this root.json; compare it with the low side again",
        )
    version = root_metadata.inspect_root(data).version
    enclave = Enclave(folder.absolute(), name, ledger_key)
    text = files.read_bounded(policy, MAX_CONFIG_BYTES) if policy else policies.default_document(name)
    document = policies.read(text, str(policy or "default policy"), name, policy.parent if policy else folder)
    if not dry_run:
        with folders.building(enclave.folder, locked=True) as temporary:
            _build(replace(enclave, folder=temporary), data, document, operator, minimum_sequence)
    return InitResult(name, str(enclave.folder), fingerprint, version, operator.signer.public.fingerprint)


def _build(
    building: Enclave,
    root: bytes,
    document: policies.PolicyDocument,
    operator: Operator,
    minimum_sequence: int,
) -> None:
    version = root_metadata.inspect_root(root).version
    for folder in (
        building.roots,
        building.history.folder,
        building.content.folder,
        building.releases,
        building.staging,
    ):
        files.make_folder(folder)
    files.write_durable(building.roots / f"{version}.root.json", root)
    policies.write(building, document)
    files.point(building.policy_link, building.policy_target(document.digest))
    log.create(building.ledger_path, building.origin, operator.signer)
    detail = Enroll(
        enclave=building.name,
        root_fingerprint=root_metadata.fingerprint(root),
        root_version=version,
        ledger_key=operator.signer.public.fingerprint,
        policy=document.digest,
        minimum_sequence=minimum_sequence,
    )
    building.record(operator, detail)
    config = {"airlift": 1, "enclave": building.name, "ledger_key": building.ledger_key}
    text = yaml.safe_dump(config, sort_keys=False).encode()
    files.write_durable(building.folder / CONFIG, text, mode=0o644)
