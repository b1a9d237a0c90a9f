"""Validates a document with its format's own library; runs in an environment of its own, without airlift.

    python validators.py cyclonedx|spdx|oscal|intoto FILE

Prints what validated it, with its version; a document that is not valid ends in an exception.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path


def cyclonedx(path: Path) -> str:
    """Validate against the strict JSON schema of CycloneDX 1.6."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text())
    if problem is not None:
        raise ValueError(str(problem)[:2000])
    return f"cyclonedx-python-lib {version('cyclonedx-python-lib')}"


def spdx(path: Path) -> str:
    """Read into the SPDX 3.0.1 model, which checks classes, types, enumerations and cardinalities."""
    from spdx_python_model import v3_0_1 as model

    objects = model.SHACLObjectSet()
    with path.open("rb") as file:
        model.JSONLDDeserializer().read(file, objects)
    if objects.missing_ids:
        raise ValueError(f"unresolved: {sorted(objects.missing_ids)[:5]}")
    with Path("/dev/null").open("wb") as nothing:
        model.JSONLDSerializer().write(objects, nothing)  # writing checks what is required
    return f"spdx-python-model {version('spdx-python-model')}"


def oscal(path: Path) -> str:
    """Read into the OSCAL model of assessment results."""
    from trestle.oscal.assessment_results import AssessmentResults

    AssessmentResults.oscal_read(path)
    return f"compliance-trestle {version('compliance-trestle')}"


def intoto(path: Path) -> str:
    """Read every statement into in-toto's protobuf, and let it check itself; provenance also its predicate."""
    import base64

    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    for line in path.read_bytes().splitlines():
        payload = base64.b64decode(json.loads(line)["payload"])
        found = json_format.Parse(payload, statement_pb2.Statement())
        Statement.copy_from_pb(found).validate()
        if found.predicate_type == "https://slsa.dev/provenance/v1":
            json_format.Parse(json.dumps(json.loads(payload)["predicate"]), provenance_pb2.Provenance())
    return f"in-toto-attestation {version('in-toto-attestation')}"


VALIDATORS = {"cyclonedx": cyclonedx, "spdx": spdx, "oscal": oscal, "intoto": intoto}

if __name__ == "__main__":
    print(VALIDATORS[sys.argv[1]](Path(sys.argv[2])))  # noqa: T201 - its answer
