"""llama.cpp's own HTTP server, as xllamacpp carries it, with the options of ``llama-server`` that the unit gives.

Run by the Python of AIRLIFT_LAYOUT_READERS: llama_server.py -m FILE.gguf --host HOST --port PORT
"""

import argparse
import sys
import threading
from typing import Any


def main() -> None:
    """Serve a model, until the process is ended."""
    import xllamacpp

    parser = argparse.ArgumentParser()
    parser.add_argument("-m", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    told = parser.parse_args()
    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = told.m
    parameters.hostnames, parameters.port = [told.host], told.port
    parameters.n_ctx, parameters.n_gpu_layers, parameters.warmup = 64, 0, False
    parameters.cpuparams.n_threads = 1
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    threading.Event().wait()


if __name__ == "__main__":
    main()
