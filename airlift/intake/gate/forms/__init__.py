"""Forms: what a component must be whose kind is another tool's format (images, wheels, charts; SPEC L2.15 to L2.17).

A form is judged as a whole: which files there may be, what each of them is, and whether they fit together. Archives
are listed and read through, never unpacked to a disk; :mod:`form` puts the kinds together.
"""
