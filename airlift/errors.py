"""One tree of errors: each class carries its exit code, a stable code string and a hint.

An error says what was expected, what was found and what to do next. The exit codes are those of SPEC 10; a class is
named for what went wrong and its ``code`` never changes once released. Messages are lower case, without a full stop.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class AirliftError(Exception):
    """Base of every error that airlift raises on purpose.

    ``expected`` and ``found`` are short texts for people and JSON; ``hint`` is the next command or action; ``data``
    goes into the JSON answer beside the error (the missing chunks of an exit 4, for instance).
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "internal"
    default_hint: ClassVar[str] = "this is a bug: run again with AIRLIFT_DEBUG=1 and report what it prints"

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.found = found
        self.hint = hint if hint is not None else self.default_hint
        self.data: dict[str, Any] = dict(data or {})


# -- 2: usage ------------------------------------------------------------------------------------------------------


class UsageError(AirliftError):
    """A command or its arguments make no sense."""

    exit_code = 2
    code = "usage"
    default_hint = "give what is expected, and run the command again"


class ManifestError(UsageError):
    """An authored YAML file (release manifest or policy) is not valid; names the file, the line and the key."""

    code = "manifest-invalid"
    default_hint = "correct the file and run the same command again"


class ForbiddenFileError(UsageError):
    """A component holds a file that airlift does not carry: a pickle, a link out of the tree, a special file."""

    code = "file-forbidden"
    default_hint = "remove the file; convert pickled weights to safetensors"


class LayoutError(UsageError):
    """A release, or what was chosen of it, cannot be served in a layout."""

    code = "layout-unfit"
    default_hint = (
        "name what can be served so with --component, or choose another layout: see docs/layouts.md"
    )


class ExistsError(UsageError):
    """The command would create something that is already there, with other content."""

    code = "exists"
    default_hint = "choose another name or version"


class PendingError(UsageError):
    """Another change of the same role still collects signatures."""

    code = "change-pending"
    default_hint = "finish it with `airlift low sign`, or drop it and its signatures with --replace"


# -- 3: proven bad -------------------------------------------------------------------------------------------------


class ProvenBadError(AirliftError):
    """Something was checked and is not what was signed or promised."""

    exit_code = 3
    code = "proven-bad"
    default_hint = "do not use this medium; obtain a fresh copy and report the find"


class MalformedError(ProvenBadError):
    """Bytes do not follow their format."""

    code = "malformed"


class MistypedError(MalformedError):
    """A line of a typed code is not as it was printed; ``data`` has its number as ``line``."""

    code = "mistyped"
    default_hint = "compare this line with the paper, and type it again"


class SignatureError(ProvenBadError):
    """A signature is missing, wrong, by the wrong key, or the threshold is not met."""

    code = "signature-invalid"


class DigestError(ProvenBadError):
    """Bytes do not have the length or digest that was signed for them."""

    code = "digest-mismatch"


class InventoryError(ProvenBadError):
    """A volume holds a file, link or special file that the signed data does not name, or contradicts it."""

    code = "inventory-mismatch"


class MixedVolumesError(ProvenBadError):
    """The given volumes belong to different bundles."""

    code = "volumes-mixed"
    default_hint = "give the volumes of one bundle only"


class ReplayError(ProvenBadError):
    """Metadata or a bundle is older than what is already trusted and no longer listed as outstanding."""

    code = "replayed"
    default_hint = "ask the low side for a newer bundle (`airlift low bundle`)"


class SequenceReusedError(ProvenBadError):
    """A sequence number came back with another bundle digest."""

    code = "sequence-reused"
    default_hint = "the depot was restored from an old copy: restore the newest one there, then bundle again"


class LedgerError(ProvenBadError):
    """The ledger contradicts itself, its checkpoints, or the installation."""

    code = "ledger-inconsistent"
    default_hint = (
        "do not continue; compare with a kept checkpoint (`airlift provenance verify --checkpoint FILE`)"
    )


class TrustStateError(ProvenBadError):
    """The enclave's trust state is missing or is not the one that the ledger committed."""

    code = "trust-state-mismatch"
    default_hint = "restore trust/ from a backup; an empty trust state would reopen rollback"


class ContentDamagedError(ProvenBadError):
    """A file at rest no longer has the digest it was installed with."""

    code = "content-damaged"
    default_hint = "repair it: `airlift high check --repair-from VOLUME...`"


# -- 4: incomplete -------------------------------------------------------------------------------------------------


class IncompleteError(AirliftError):
    """Volumes or chunks are missing; what is there is good."""

    exit_code = 4
    code = "volumes-missing"
    default_hint = "insert the missing volume and run the same command again; what was verified is kept"


class PartsMissingError(IncompleteError):
    """Parts of a plan that were to be coded apart are not there (SPEC L4.21)."""

    code = "shards-missing"
    default_hint = (
        "make what is missing with `airlift low bundle ... --shard I/N`, and run the same command again"
    )


# -- 5: wrong baseline ---------------------------------------------------------------------------------------------


class BaselineError(AirliftError):
    """A delta's baseline is not held."""

    exit_code = 5
    code = "baseline-not-held"
    default_hint = "import the baseline first, or ask for a bundle made with `--from none`"


class BaselineDamagedError(BaselineError):
    """A delta's baseline is held, but its bytes at rest have changed."""

    code = "baseline-damaged"
    default_hint = "repair it first: `airlift high check --repair-from VOLUME...`"


class NotHeldError(BaselineError):
    """A named release, component or bundle is not held here."""

    code = "release-not-held"
    default_hint = "see what is held: `airlift high list` or `airlift low list`"


# -- 6: refused by policy ------------------------------------------------------------------------------------------


class RefusedError(AirliftError):
    """Valid, and refused by policy."""

    exit_code = 6
    code = "refused"
    default_hint = "see `airlift high policy show`"


class WrongEnclaveError(RefusedError):
    """The bundle is addressed to another enclave."""

    code = "wrong-enclave"
    default_hint = "carry it to the enclave it names, or bundle again with `--for`"


class MarkingError(RefusedError):
    """The marking is above what this enclave accepts, or unknown to it."""

    code = "marking-refused"


class WaiverError(RefusedError):
    """The release waives an objection of the low side's gate that policy does not let it waive."""

    code = "waiver-refused"
    default_hint = "ask the low side for a release without it, or allow it: `waivers` in the policy"


class VariantError(RefusedError):
    """Policy chooses no variant of a component, or one that is not at hand (SPEC 7.14)."""

    code = "variant-refused"
    default_hint = "see `variants` in the policy: `airlift high policy show`"


class RegistrationError(RefusedError):
    """A component was trained inside, and policy does not permit one of its kind."""

    code = "registration-refused"
    default_hint = "allow its kind: `register` in the policy (`airlift high policy set FILE`)"


class BucketError(RefusedError):
    """A release was to be put into a bucket that policy does not name."""

    code = "bucket-refused"
    default_hint = "name it under `buckets` in the policy: `airlift high policy set FILE`"


class RequirementError(RefusedError):
    """A component lacks another component that it requires."""

    code = "requirement-unmet"


class FloorError(RefusedError):
    """A component is older than the version floor (the ratchet)."""

    code = "below-floor"


class QuorumError(RefusedError):
    """Too few attestations or approvals."""

    code = "quorum-unmet"


class ExpiredError(RefusedError):
    """Signed metadata has expired at the reference time."""

    code = "expired"
    default_hint = "ask the low side for fresh metadata (`airlift low renew`)"


class HookError(RefusedError):
    """A command of the owners before or after a switch does not accept it; what was active is active again."""

    code = "hook-failed"
    default_hint = "see what the command says, mend it or choose another release; `airlift high policy show`"


class AcceptanceError(RefusedError):
    """A release did not pass a test that policy asks for."""

    code = "not-accepted"
    default_hint = "see what the test says; run the same command again once it can pass"


class StaleError(RefusedError):
    """What the enclave knows is too old, by signed times and the ledger, to activate anything by it."""

    code = "stale"
    default_hint = (
        "import a newer bundle, or a renewal (`airlift low renew`); or two approvers accept it: "
        "--insecure-stale --reason R --key K --key K"
    )


class RevokedError(RefusedError):
    """The release or a component of it was revoked."""

    code = "revoked"


class UnpublishedError(RefusedError):
    """The release still lacks signatures."""

    code = "unpublished"
    default_hint = "collect the missing signatures with `airlift low sign`"


class OvertakenError(RefusedError):
    """An overtaken bundle is installed but never activated by itself."""

    code = "overtaken"
    default_hint = "import without --activate, then decide with `airlift high activate RELEASE`"


class InventoryRefusedError(RefusedError):
    """A desktop left something on a volume, and policy wants none of it."""

    code = "inventory-refused"
    default_hint = (
        "copy the volume from its source again, or without the leftovers; the rest of it is unharmed"
    )


# -- 7: could not check --------------------------------------------------------------------------------------------


class UncheckedError(AirliftError):
    """Something could not be checked; it is neither good nor bad."""

    exit_code = 7
    code = "unreadable"
    default_hint = "check the path, the medium and the permissions, then run the same command again"


class StalledError(AirliftError):
    """A medium does not answer: no :class:`UncheckedError`, because nothing is tried beside it, chunk by chunk."""

    exit_code = 7
    code = "stalled"
    default_hint = (
        "clean the medium or try another drive, then run the same command again (AIRLIFT_MEDIUM_SECONDS=600 waits "
        "longer); or leave this volume out, if parity or another copy makes up for it"
    )


class KeyUnavailableError(UncheckedError):
    """A key or its passphrase is missing or cannot be used."""

    code = "key-unavailable"
    default_hint = "check the key file and its passphrase (--passphrase-file)"


class PermissionDeniedError(UncheckedError):
    """The operating system denied access."""

    code = "permission-denied"


class FormatTooNewError(UncheckedError):
    """The format is newer than this airlift."""

    code = "format-too-new"
    default_hint = "update airlift on this side first"


class BusyError(UncheckedError):
    """Another airlift command holds the lock."""

    code = "busy"
    default_hint = "wait until the other command has finished"


class RecoveryNeededError(UncheckedError):
    """An earlier command was interrupted; the next state-changing command finishes or undoes its work."""

    code = "recovery-needed"


# -- 8: storage ----------------------------------------------------------------------------------------------------


class StorageError(AirliftError):
    """Storage failed: an I/O error while writing."""

    exit_code = 8
    code = "io-error"
    default_hint = "check the disk, then run the same command again"


class NoSpaceError(StorageError):
    """The disk is full."""

    code = "no-space"
    default_hint = "free some space (`airlift high gc`), then run the same command again"


class VolumeTooSmallError(StorageError):
    """Something does not fit the volume or the file size that was asked for."""

    code = "volume-too-small"
    default_hint = "choose a larger --volume-size or --max-file-size"
