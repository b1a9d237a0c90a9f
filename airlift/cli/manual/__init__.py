"""Man pages and completions of shells, written from the commands as they are declared: nothing is said twice."""
