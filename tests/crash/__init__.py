"""A crash at any instant leaves the old state or the new one."""
