"""Code the parts of a plan apart, in processes that share nothing but a folder, and join them (SPEC L4.20, L4.21).

``division`` cuts a plan into parts, the same in every process. ``shard_format`` and ``shard_file`` are what one of
them writes, ``make_shard`` is the command that does, and ``join`` holds what others wrote against the plan.
"""
