"""in-toto: every attestation of the record, byte for byte as it was signed, one DSSE envelope a line (SPEC 15.4)."""

import json

from airlift.evidence.facts import Facts


def format(facts: Facts) -> bytes:  # noqa: A001 - each format of this room has one function of this name
    """Return JSON lines of DSSE envelopes in the order of the entries that recorded them, each once.

    An envelope that was not written on one line is put on one: what is signed is its payload, which stays as it is.
    """
    lines = {item.digest: _line(item.envelope) for item in facts.attestations}
    return b"".join(line + b"\n" for line in lines.values())


def _line(envelope: bytes) -> bytes:
    if b"\n" not in envelope and b"\r" not in envelope:
        return envelope
    return json.dumps(json.loads(envelope), separators=(",", ":")).encode()
