"""Registering: what was trained inside joins a held release, and is recorded like an import (SPEC 8.6).

``register`` holds the order of steps; ``gather`` takes the files in, ``join`` says, purely, what release comes of it.
"""
