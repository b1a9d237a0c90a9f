"""What a re-cut is made of: how the bundle was made, its volumes at hand, and its chunks coded again (SPEC 6.8).

``first_cut`` asks the depot: its log for how a bundle was made and where to, its metadata and documents for what
every volume carries. ``at_hand`` reads volumes of the bundle that are there. ``code_again`` makes what none of them
has. ``standing`` finds what an interrupted run put into the output folder.
"""
