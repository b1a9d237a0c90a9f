"""The command line: parse, call one function, render. The only room with typer and rich, and with a clock."""
