"""Init: make an enclave by pinning a root whose fingerprint was compared out of band (SPEC 8.3)."""

from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from airlift import files
from airlift.bundle.fields import ENCLAVE_NAME
from airlift.bundle.manifest import ANY_ENCLAVE, MAX_SEQUENCE
from airlift.errors import SignatureError, UsageError
from airlift.high.enclave import policy as policies
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.ledger import log
from airlift.ledger.enclave_folder import CONFIG, MAX_CONFIG_BYTES, MAX_METADATA_BYTES
from airlift.ledger.entries.administration import Enroll
from airlift.store import whole_folders
from airlift.trust.tuf import root as root_metadata


@dataclass(frozen=True, slots=True)
class NewEnclave:
    """What an enclave is made of: its name, the low side's root.json, and the private key of its ledger.

    ``expected`` is the fingerprint of the root as it came by another channel, ``ledger_key`` a file or a pkcs11: URI,
    ``policy`` a file (without it every key of the policy has its safe default). No bundle before
    ``minimum_sequence`` is accepted.
    """

    name: str
    root: Path
    expected: str
    ledger_key: str
    policy: Path | None = None
    minimum_sequence: int = 1

    def __post_init__(self) -> None:
        if not ENCLAVE_NAME.match(self.name) or self.name == ANY_ENCLAVE:
            raise UsageError(
                f"not an enclave name: {self.name!a}", expected="a-z, 0-9 and '-', at most 24, not 'any'"
            )
        if not 1 <= self.minimum_sequence <= MAX_SEQUENCE:
            raise UsageError("the minimum sequence is out of range", expected=f"1 to {MAX_SEQUENCE}")


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


def init_enclave(folder: Path, new: NewEnclave, *, operator: Operator, dry_run: bool = False) -> InitResult:
    """Create an enclave in ``folder`` that trusts the root which was compared.

    Raises:
        ExistsError: there is something in ``folder`` already.
        SignatureError: the root does not sign itself, or has another fingerprint.
        ManifestError: the policy is not valid.
    """
    whole_folders.check_free(folder, "choose another folder with --enclave")
    root = files.read_bounded(new.root, MAX_METADATA_BYTES)
    fingerprint = _fingerprint(root)
    if normalise(new.expected) != fingerprint:
        raise SignatureError(
            "the root has another fingerprint than the one that was compared",
            expected=normalise(new.expected),
            found=fingerprint,
            hint="do not use this root.json; compare it with the low side again",
        )
    version = root_metadata.inspect_root(root).version
    enclave = Enclave(folder.absolute(), new.name, new.ledger_key)
    document = _first_policy(new)
    if not dry_run:
        with whole_folders.building(enclave.folder, locked=True) as temporary:
            _build(replace(enclave, folder=temporary), root, document, operator, new.minimum_sequence)
    return InitResult(new.name, str(enclave.folder), fingerprint, version, operator.signer.public.fingerprint)


def _first_policy(new: NewEnclave) -> policies.PolicyDocument:
    if new.policy is None:
        return policies.read(policies.default_document(new.name), "default policy", new.name, Path())
    text = files.read_bounded(new.policy, MAX_CONFIG_BYTES)
    return policies.read(text, str(new.policy), new.name, new.policy.parent)


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
    files.point_link(building.policy_link, building.policy_target(document.digest))
    log.create(building.ledger_path, building.origin, operator.signer)
    detail = Enroll(
        enclave=building.name,
        root_fingerprint=root_metadata.fingerprint(root),
        root_version=version,
        ledger_key=operator.signer.public.fingerprint,
        policy=document.digest,
        minimum_sequence=minimum_sequence,
        floors=dict(document.policy.floors),
    )
    building.record(operator, detail)
    config = {"airlift": 1, "enclave": building.name, "ledger_key": building.ledger_key}
    text = yaml.safe_dump(config, sort_keys=False).encode()
    files.write_durable(building.folder / CONFIG, text, mode=0o644)
