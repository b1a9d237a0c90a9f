"""What every command shares: how it is declared, its options, its run, and how answers are shown."""
