"""Drafts of release manifests: what lies in folders, written down for a person to complete (SPEC L3.5).

Nothing follows from a draft: what it says is told by the vendor's own files, or proposed. ``recognise`` tells what a
folder is, ``propose`` versions and parents by what was published, and ``draft`` writes the manifest and what the gate
has against it.
"""
