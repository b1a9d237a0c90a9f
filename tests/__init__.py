"""The tests; each folder asks one kind of question."""
