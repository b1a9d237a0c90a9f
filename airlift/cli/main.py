"""The entry point, and the only place that catches errors: each becomes an exit code, a message and a hint."""

import errno
import gc
import io
import itertools
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import typer

from airlift.cli.frame import app
from airlift.cli.frame.app import declare, root
from airlift.cli.frame.command import Answer, write
from airlift.cli.frame.session import Format, Run
from airlift.errors import AirliftError, NoSpaceError, StorageError, UncheckedError, UsageError

LIBRARY_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Read when NumPy is loaded, which no module above does. The threads of its matrix products stand in the way of the
workers, and how many they are may show in the last bit of what is estimated (SPEC 6.5-2)."""

READER_LEFT = 141  # what a shell reports for a program that SIGPIPE ended


class InterruptedByUserError(AirliftError):
    """Somebody pressed Ctrl-C; the exit code is the shell's for SIGINT."""

    exit_code = 130
    code = "interrupted"
    default_hint = "run the same command again: it finishes or undoes first what was begun"


COLLECT_AFTER = 50_000
"""Objects between two searches for cycles. By default 700, which a command that starts makes some hundred times."""


def run() -> NoReturn:
    """Run the command of ``sys.argv`` and exit with its code."""
    gc.set_threshold(COLLECT_AFTER)
    os.environ |= dict.fromkeys(LIBRARY_THREADS, "1")
    if "--no-color" in sys.argv:
        os.environ["NO_COLOR"] = "1"
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command, write its answer or error, and return its exit code (SPEC 10)."""
    _prepare_streams()
    arguments = app.completed(arguments)
    run = Run(format=_wanted_format(arguments))
    outcome = _outcome(run, arguments)
    try:
        code = _tell(run, outcome)
        run.out.flush()
    except BrokenPipeError:
        _leave(READER_LEFT)
    except OSError as error:
        run.format = Format.table
        unwritten = StorageError(
            "the answer could not be written, but what the command did is done",
            found=os.strerror(error.errno or 0),
            hint="see what is there: `airlift low status` or `airlift high status`",
        )
        _leave(_tell(run, unwritten))
    return code


def _prepare_streams() -> None:
    """Never fail on a character that the terminal lacks, nor on a stream that the caller has closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _outcome(run: Run, arguments: Sequence[str]) -> Answer | AirliftError | int:
    """Run one command; return its answer, its error, or the exit code of what typer did by itself (help)."""
    try:
        declare(arguments[0] if arguments else "")
        result: Answer | int | None = typer.main.get_command(root).main(
            list(arguments), prog_name="airlift", standalone_mode=False, obj=run
        )
    except AirliftError as error:
        return _traced(_pointed(error, arguments))
    except typer.TyperException as error:
        return _usage(run, error, arguments)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BrokenPipeError:
        return READER_LEFT
    except SystemExit as error:  # typer's way to end when the reader of its help has left
        if isinstance(error.__context__, BrokenPipeError):
            return READER_LEFT
        raise
    except OSError as error:
        return _traced(_from_system(error))
    except Exception as error:  # noqa: BLE001 - the one place where a bug surfaces
        return _traced(AirliftError(f"unexpected failure: {type(error).__name__}: {error}"))
    finally:
        run.pause()
    return _interrupted() if result == InterruptedByUserError.exit_code else result or 0


def _tell(run: Run, outcome: Answer | AirliftError | int) -> int:
    if isinstance(outcome, AirliftError):
        run.error(outcome)
        return outcome.exit_code
    if isinstance(outcome, Answer):
        write(run, outcome)
        return 0
    return outcome


def _traced(error: AirliftError) -> AirliftError:
    if os.environ.get("AIRLIFT_DEBUG") == "1":
        traceback.print_exc(file=sys.stderr)
    return error


def _usage(run: Run, error: typer.TyperException, arguments: Sequence[str]) -> AirliftError | int:
    """Say what typer found wrong with the arguments in our own style."""
    from airlift.cli.frame import hints

    message = error.format_message().strip()
    if not message:  # no arguments at all: the help was printed instead
        return UsageError.exit_code
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else hints.named(arguments)
    run.command = path.partition(" ")[2]
    text = " ".join(message.replace("Value error, ", "").rstrip(".").split())
    return UsageError(text[:1].lower() + text[1:], hint=hints.after(arguments))


def _pointed(error: AirliftError, arguments: Sequence[str]) -> AirliftError:
    """Return an error whose hint names the next command, also where what was misused lies too deep to know it."""
    if error.hint == UsageError.default_hint:
        from airlift.cli.frame import hints

        error.hint = hints.after(arguments)
    return error


def _interrupted() -> AirliftError:
    return InterruptedByUserError("interrupted; nothing half-done is in effect")


def _from_system(error: OSError) -> AirliftError:
    """Turn an OSError that no room has judged into what it most likely is: never into `proven bad`."""
    where = f" at {error.filename}" if error.filename else ""
    found = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return NoSpaceError(f"the disk is full{where}", found=found)
    if error.errno == errno.EIO:
        return StorageError(f"the operating system reports an error{where}", found=found)
    return UncheckedError(f"the operating system reports an error{where}", found=found)


def _wanted_format(arguments: Sequence[str]) -> Format:
    """Look for ``--format json`` before parsing, so that even a usage error is answered in JSON."""
    words = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    wanted = "--format=json" in words or ("--format", "json") in itertools.pairwise(words)
    return Format.json if wanted else Format.table


def _leave(code: int) -> NoReturn:
    """End at once: the interpreter's own last flush of stdout would only fail again."""
    sys.stderr.flush()
    os._exit(code)
