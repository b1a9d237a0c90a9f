"""Prove a volume by itself: which of several that failed together is to blame (SPEC 7.13-4). Nothing changes."""

from datetime import datetime
from pathlib import Path

from airlift.errors import AirliftError, ProvenBadError, StalledError
from airlift.high.enclave.enclave import Enclave
from airlift.high.verification.verify_bundle import verify_bundle
from airlift.high.watching.attempt import OURS
from airlift.high.watching.sights import Fault


def find_fault(enclave: Enclave, path: Path, now: datetime) -> Fault | None:
    """Return what is proven bad of a volume and its chunks, or None.

    Raises:
        ProvenBadError: the enclave itself is not as it should be.
        StalledError: the medium does not answer.
    """
    try:
        verified = enclave.look(lambda state: verify_bundle(enclave, [path], state, now))
        for chunk in dict.fromkeys((*verified.own.chunks, *verified.bundle.parity_chunks)):
            if verified.chunk_paths[chunk.sha512]:
                verified.read_chunk(chunk)
    except (*OURS, StalledError):
        raise
    except ProvenBadError as error:
        return Fault.of(error)
    except AirliftError:
        return None
    return None
