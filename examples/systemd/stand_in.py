"""Takes the place of ``vllm`` or ``llama-server`` where neither is: to try the units out, and in tests of them.

    vllm serve FOLDER --host HOST --port PORT [...]       installed as /usr/local/bin/vllm
    llama-server -m FILE.gguf --host HOST --port PORT     installed as /usr/local/bin/llama-server

Like these it reads configuration and weights once, when it starts; it answers /health with 503 until they are read,
and ends with an error if it cannot serve them. /v1/models tells which release it serves. Other paths: 404.
"""

import argparse
import hashlib
import json
import struct
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

READ_SECONDS = 0.3
HEADER = struct.Struct("<Q")
LONGEST_HEADER = 1 << 20


class Unfit(Exception):  # noqa: N818 - what a server says of a model
    """This cannot be served; the message says why."""


def read_folder(folder: Path) -> dict[str, str]:
    """Read a model as vLLM finds it: ``config.json`` of a type that is known, and safetensors that are whole.

    Raises:
        Unfit: it is not one.
    """
    config = json.loads((folder / "config.json").read_bytes())
    if not config.get("type"):
        raise Unfit(f"{folder}/config.json names no type of model")
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        weights = path.read_bytes()
        (length,) = HEADER.unpack_from(weights)
        if length > LONGEST_HEADER:
            raise Unfit(f"{path} has no header")
        told = json.loads(weights[HEADER.size : HEADER.size + length])
        ends = [tensor["data_offsets"][1] for name, tensor in told.items() if name != "__metadata__"]
        if max(ends) != len(weights) - HEADER.size - length:
            raise Unfit(f"{path} is not whole")
        digest.update(weights)
    return {"release": folder.resolve().parent.name, "weights": digest.hexdigest()}


def read_file(path: Path) -> dict[str, str]:
    """Read a model as llama.cpp does.

    Raises:
        Unfit: it is not one.
    """
    weights = path.read_bytes()
    if weights[:4] != b"GGUF":
        raise Unfit(f"{path} is no GGUF file")
    return {"release": path.resolve().parent.parent.name, "weights": hashlib.sha256(weights).hexdigest()}


class Answers(BaseHTTPRequestHandler):
    """Answers by what was ``read``: nothing yet, or what is served."""

    def __init__(self, read: list[dict[str, str]], *more: Any) -> None:
        self.read = read
        super().__init__(*more)

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path not in {"/health", "/v1/models"}:
            self.send_error(404)
        elif not self.read:
            self.send_error(503)
        else:
            body = json.dumps({"object": "list", "data": [{"object": "model", **self.read[0]}]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


def serve(host: str, port: int, load: Callable[[], dict[str, str]]) -> None:
    """Serve what is loaded, until the process is ended."""
    read: list[dict[str, str]] = []
    server = ThreadingHTTPServer((host, port), partial(Answers, read))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    time.sleep(READ_SECONDS)
    read.append(load())
    print(f"serving {read[0]}", flush=True)
    threading.Event().wait()


def main(words: list[str]) -> int:
    """Read and serve; return the exit code if that cannot be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("place", nargs="*", help="serve FOLDER")
    parser.add_argument("-m", type=Path, help="a GGUF file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    known, _ = parser.parse_known_args(words)
    load = partial(read_file, known.m) if known.m else partial(read_folder, Path(known.place[-1]))
    try:
        serve(known.host, known.port, load)
    except (Unfit, OSError, ValueError, KeyError, struct.error) as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
