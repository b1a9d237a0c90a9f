"""Watching: import what arrives in a drop folder behind a diode, and put aside what is bad (SPEC 7.13).

What to do next is decided by plain values (``decide``): what was seen of the folder (``look``), what the reader says
of its volumes (``survey``), and how imports ended (``attempt``). All state is in the folder and the enclave.
"""
