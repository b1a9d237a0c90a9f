"""TUF metadata: how the depot changes, signs and publishes it, and how an enclave verifies it (SPEC 4.2 to 4.4).

Both sides: ``metadata`` checks documents strictly and names their files, ``roles`` says who may sign, ``targets`` and
``root`` read what stands in them, and ``metadata_folder`` says whether a volume carries all of them. Low side:
``proposal`` starts a change that ``change`` builds, ``publication`` collects its signatures, ``change_file`` takes it
to other machines, ``bundling`` lists bundles, and ``metadata_store`` holds all of it on disk. High side: ``verifier``
runs the TUF client on what ``fetcher`` reads from a medium, and returns ``trusted_metadata``.
"""
