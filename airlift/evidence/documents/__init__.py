"""Documents that other tools read: CycloneDX, SPDX, OSCAL and in-toto, one module a format (SPEC 15.2 to 15.5)."""
