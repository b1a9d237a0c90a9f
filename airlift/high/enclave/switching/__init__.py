"""What goes along with a switch: the owners' commands, and the layouts that follow (SPEC 7.10, 8.7)."""
