"""Writes gguf/types.json: a small GGUF file of every tensor type, written and read by ggml's own library.

That library (``gguf`` on the package index) is not needed to run the tests, only to make this file anew:
``python -m tests.vectors.make_gguf``.
"""

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "gguf"


def document() -> dict[str, Any]:
    """Return the file (base64), and what the library reads: name, type, dimensions, start and end of each tensor."""
    import gguf
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "types.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_custom_alignment(64)
        writer.add_bool("general.flag", True)
        writer.add_array("tokenizer.ggml.tokens", ["<s>", "", "é"])
        writer.add_array("tokenizer.ggml.scores", [0.5, -1.0, 2.0])
        writer.add_float64("general.share", 0.25)
        for kind, (_, size) in gguf.GGML_QUANT_SIZES.items():
            if kind.name != "Q8_1":  # the library's size is not that of ggml any more
                rows = np.arange(3 * 2 * size, dtype=np.uint8).reshape(3, 2 * size)
                writer.add_tensor(f"blk.0.{kind.name}.weight", rows, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        tensors = [
            [t.name, t.tensor_type.name, t.shape.tolist(), t.data_offset, t.data_offset + t.n_bytes]
            for t in gguf.GGUFReader(path).tensors
        ]
        return {"file": base64.b64encode(path.read_bytes()).decode(), "tensors": tensors}


def main() -> None:
    """Write the file."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "types.json").write_text(json.dumps(document(), indent=1) + "\n")


if __name__ == "__main__":
    main()
