"""Ask a Hugging Face endpoint (``HF_ENDPOINT``), and fetch models pinned to a commit (SPEC L2.10).

``fetch`` brings the files of a commit into the local cache, ``newest`` asks for a branch. ``endpoint`` alone opens
sockets: it asks once, and says what an answer means. ``patience`` says when to ask again, ``listing`` what a commit
holds, ``download`` brings one file, ``proof`` holds its bytes against what was listed, ``cache`` knows where it lies.
"""
