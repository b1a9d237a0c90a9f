"""``python -m airlift`` is the command ``airlift``."""

from airlift.cli.main import run

if __name__ == "__main__":
    run()
