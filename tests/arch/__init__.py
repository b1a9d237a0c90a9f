"""What holds for the code as a whole: rooms, words, sizes, docstrings, effects."""
