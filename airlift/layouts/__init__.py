"""Layouts: the forms in which an installed release is served (SPEC 8.7).

A form (:mod:`airlift.layouts.forms`) says, as a pure function of a release, which file, link or text stands where:
a plan. :mod:`airlift.layouts.build` makes a tree of a plan, out of hard links where it can;
:mod:`airlift.layouts.compare` says what of a tree differs from its plan.
"""
