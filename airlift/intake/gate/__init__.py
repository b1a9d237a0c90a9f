"""The gate: whether a file may be part of a release, judged by what is in it (SPEC L2.4 to L2.8, L2.13).

One module for each subject, each a recogniser over bounded reads; :mod:`judge` puts them together for one file, and
``drift`` holds the files of a component against each other. A name alone never refuses a file, nothing that is read
is ever loaded, and every length that a file states is held against the bytes that are there before it is used.
"""
