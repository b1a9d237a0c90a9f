"""The session at the top of the README: commands that are really run on a terminal, and drawn as an SVG."""
