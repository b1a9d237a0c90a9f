"""Plan how files are coded: what each is coded against, and by which rule its numbers were made (SPEC L4.1)."""
