"""Fuzz targets: bytes that nobody meant, fed to every parser."""
