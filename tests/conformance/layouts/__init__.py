"""Layouts in the hands of those whom they are made for: real registries, engines and readers."""
