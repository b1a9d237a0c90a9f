"""The command line as a person meets it: transcripts, exit codes, JSON keys."""
