"""JSON Schemas and samples of what people write: release manifests and policies."""
