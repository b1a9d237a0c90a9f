"""Write the golden files in ``containers/`` with the libraries that define the formats.

None of them is in the lock: run this by hand where they are (``containers/README.md`` says which), as
``python tests/vectors/make_containers.py FOLDER``. What a library is missing for is left out, and said.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Expected = dict[str, dict[str, Any]]
"""The arrays in each file, by name."""

RANDOM = np.random.default_rng(13)
W1 = RANDOM.normal(0, 0.1, (16, 8, 3, 3)).astype(np.float32)
W2 = RANDOM.normal(0, 0.1, (24, 16)).astype(np.float16)
W3 = RANDOM.integers(-128, 127, (10, 12)).astype(np.int8)
B1 = RANDOM.normal(0, 0.1, (16,)).astype(np.float32)


def onnx(folder: Path) -> Expected:
    """Initializers, a Constant, float_data, a graph in a branch of If, a function, and external data."""
    import onnx as library
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, array: Any) -> Any:
        value = numpy_helper.from_array(array)
        return helper.make_node("Constant", [], [name], value=value)

    def branch(name: str, array: Any) -> Any:
        held = numpy_helper.from_array(array, f"{name}.weight")
        node = helper.make_node("Identity", [f"{name}.weight"], [f"{name}.out"])
        out = helper.make_tensor_value_info(f"{name}.out", TensorProto.FLOAT, list(array.shape))
        return helper.make_graph([node], name, [], [out], initializer=[held])

    typed = helper.make_tensor("typed", TensorProto.FLOAT, [16], B1.tolist(), raw=False)
    double = helper.make_tensor("double", TensorProto.DOUBLE, [16], B1.tolist(), raw=False)
    packed = helper.make_tensor("packed", TensorProto.INT8, [10, 12], W3.flatten().tolist(), raw=False)
    x = helper.make_tensor_value_info("x", TensorProto.BOOL, [])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [
        constant("fixed", W1),
        helper.make_node(
            "If", ["x"], ["y"], then_branch=branch("yes", W1[:4] * 2), else_branch=branch("no", W1[:4] * 3)
        ),
        helper.make_node("f", [], ["z"], domain="local"),
    ]
    function = helper.make_function(
        "local", "f", [], ["inside"], [constant("inside", W1[:4] * 4)], [helper.make_opsetid("", 17)]
    )
    held = [numpy_helper.from_array(a, n) for n, a in (("w1", W1), ("half", W2), ("int8", W3))]
    graph = helper.make_graph(nodes, "g", [x], [y], initializer=[*held, typed, double, packed])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    model = helper.make_model(graph, functions=[function], opset_imports=opsets)
    (folder / "model.onnx").write_bytes(model.SerializeToString())

    graph = helper.make_graph(
        [],
        "g",
        [],
        [y],
        initializer=[numpy_helper.from_array(a, n) for n, a in (("w1", W1), ("half", W2), ("b1", B1))],
    )
    (folder / "outside.onnx_data").unlink(missing_ok=True)  # the library appends
    library.save_model(
        helper.make_model(graph), folder / "outside.onnx", save_as_external_data=True, all_tensors_to_one_file=True,
        location="outside.onnx_data", size_threshold=0,
    )  # fmt: skip
    found = {"fixed": W1, "w1": W1, "yes.weight": W1[:4] * 2, "no.weight": W1[:4] * 3, "inside": W1[:4] * 4}
    return {
        "model.onnx": {**found, "half": W2, "int8": W3, "typed": B1, "double": B1.astype(np.float64)},
        "outside.onnx_data": {"w1": W1, "half": W2, "b1": B1},
    }


def tflite(folder: Path) -> Expected:
    """Buffers inside the flatbuffer, one of two tensors, one of none."""
    import flatbuffers
    import tflite as schema

    builder = flatbuffers.Builder(0)

    def offsets(start: Any, items: list[Any]) -> Any:
        start(builder, len(items))
        for item in reversed(items):
            builder.PrependUOffsetTRelative(item)
        return builder.EndVector()

    buffers = []
    for data in (b"", W1.tobytes(), W3.tobytes(), W2.tobytes(), b"metadata"):
        vector = builder.CreateByteVector(data) if data else None
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        buffers.append(schema.BufferEnd(builder))
    tensors = []
    kinds = schema.TensorType
    for name, shape, kind, buffer in (
        ("input", (1, 8), kinds.FLOAT32, 0),
        ("w1", W1.shape, kinds.FLOAT32, 1),
        ("int8", W3.shape, kinds.INT8, 2),
        ("half", W2.shape, kinds.FLOAT16, 3),
        ("tied", W2.shape, kinds.FLOAT16, 3),
    ):
        text = builder.CreateString(name)
        schema.TensorStartShapeVector(builder, len(shape))
        for dimension in reversed(shape):
            builder.PrependInt32(dimension)
        dimensions = builder.EndVector()
        schema.TensorStart(builder)
        schema.TensorAddShape(builder, dimensions)
        schema.TensorAddType(builder, kind)
        schema.TensorAddBuffer(builder, buffer)
        schema.TensorAddName(builder, text)
        tensors.append(schema.TensorEnd(builder))
    listed = offsets(schema.SubGraphStartTensorsVector, tensors)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, listed)
    graph = schema.SubGraphEnd(builder)
    graphs = offsets(schema.ModelStartSubgraphsVector, [graph])
    held = offsets(schema.ModelStartBuffersVector, buffers)
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, graphs)
    schema.ModelAddBuffers(builder, held)
    builder.Finish(schema.ModelEnd(builder), file_identifier=b"TFL3")
    (folder / "model.tflite").write_bytes(bytes(builder.Output()))
    return {"model.tflite": {"w1": W1, "int8": W3, "half": W2}}


def openvino(folder: Path) -> Expected:
    """A model of constants, in float32, float16 and int8."""
    import openvino as library
    from openvino import opset8

    x = opset8.parameter([1, 16], np.float16, name="x")
    made = opset8.matmul(x, opset8.constant(W2, name="half"), transpose_a=False, transpose_b=True)
    outs = [made, opset8.constant(W1, name="w1"), opset8.constant(W3, name="int8")]
    model = library.Model([opset8.result(out) for out in outs], [x], "m")
    library.save_model(model, folder / "openvino.xml", compress_to_fp16=False)
    return {"openvino.bin": {"w1": W1, "int8": W3, "half": W2}}


def ctranslate2(folder: Path) -> Expected:
    """Variables of four types, and an alias."""
    from ctranslate2.specs import model_spec

    class Spec(model_spec.ModelSpec):  # type: ignore[misc]
        @property
        def name(self) -> str:
            return "Spec"

        def __init__(self) -> None:
            super().__init__()
            self.weight = W1.reshape(16, 72)
            self.half = W2
            self.quantised = W3
            self.same = "weight"

    spec = Spec()
    for name in ("weight", "half", "quantised"):
        setattr(spec, name, model_spec.NumpyVariable(getattr(spec, name)))
    (folder / "ctranslate2").mkdir(exist_ok=True)
    spec.save(str(folder / "ctranslate2"))
    return {"ctranslate2/model.bin": {"weight": W1.reshape(16, 72), "half": W2, "quantised": W3}}


def fasttext(folder: Path) -> Expected:
    """A model of a few words, plain and quantised."""
    import fasttext as library

    text = folder / "words.txt"
    words = ["north", "south", "east", "west", "up", "down"]
    lines = [f"__label__{i % 3} " + " ".join(RANDOM.choice(words, 5)) for i in range(60)]
    text.write_text("\n".join(lines) + "\n")
    model = library.train_supervised(
        str(text), dim=8, bucket=280, minn=2, maxn=3, epoch=2, thread=1, verbose=0
    )
    model.save_model(str(folder / "fasttext.bin"))
    plain = {"input": model.get_input_matrix(), "output": model.get_output_matrix()}
    model.quantize(str(text), qnorm=True, dsub=2, verbose=0)
    model.save_model(str(folder / "fasttext.ftz"))
    text.unlink()
    return {"fasttext.bin": plain, "fasttext.ftz": {"output": plain["output"]}}


def coreml(folder: Path) -> Expected:
    """An ML program of two constants; only its weights are kept."""
    import coremltools as library
    from coremltools.converters.mil import Builder

    @Builder.program(input_specs=[Builder.TensorSpec((1, 8, 5, 5))])  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        return Builder.conv(x=x, weight=W1, bias=B1, name="conv")

    made = library.convert(program, convert_to="mlprogram", minimum_deployment_target=library.target.iOS16)
    made.save(str(folder / "core.mlpackage"))
    kept = next((folder / "core.mlpackage").rglob("weight.bin"))
    (folder / "weight.bin").write_bytes(kept.read_bytes())
    shutil.rmtree(folder / "core.mlpackage")
    halves = (array.astype(np.float16).ravel() for array in (W1, B1))
    return {"weight.bin": dict(zip(("weight.0", "weight.1"), halves, strict=True))}


def pytorch(folder: Path) -> Expected:
    """A state_dict with a tied, a transposed and a sliced tensor; the same module as TorchScript."""
    import torch

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(8, 16, 3)
            self.conv.weight.data = torch.from_numpy(W1)
            self.conv.bias.data = torch.from_numpy(B1)

        def forward(self, x: Any) -> Any:
            return self.conv(x)

    net = Net()
    state = dict(net.state_dict())
    state["half"] = torch.from_numpy(W2)
    state["brain"] = torch.from_numpy(W2.astype(np.float32)).to(torch.bfloat16)
    state["turned"] = torch.from_numpy(W3).t()
    whole = torch.arange(64, dtype=torch.int64)
    state["first"], state["second"] = whole[:32], whole[32:]
    torch.save({"state_dict": state, "step": 3}, folder / "checkpoint.pt")
    torch.jit.trace(net, torch.zeros(1, 8, 5, 5)).save(str(folder / "script.jit"))
    conv = {"conv.weight": W1, "conv.bias": B1}
    more = {"half": W2, "turned": W3}
    return {
        "checkpoint.pt": {f"state_dict.{name}": array for name, array in {**conv, **more}.items()},
        "script.jit": conv,
    }


MAKERS: tuple[Callable[[Path], Expected], ...] = (
    onnx, tflite, openvino, ctranslate2, fasttext, coreml, pytorch,
)  # fmt: skip


def main() -> None:
    """Write what the libraries at hand can write, and what is in it: element, shape and SHA-256 of each array."""
    folder = Path(sys.argv[1])
    listed = folder / "expected.json"
    found = json.loads(listed.read_text()) if listed.exists() else {}
    for make in MAKERS:
        try:
            made = make(folder)
        except ImportError as error:
            sys.stderr.write(f"{make.__name__}: left out, {error}\n")
            continue
        for name, arrays in made.items():
            found[name] = {key: told(np.ascontiguousarray(array)) for key, array in arrays.items()}
    listed.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def told(array: Any) -> list[Any]:
    """Return what the test compares of an array."""
    element = array.dtype.str[1:].replace("f", "F").replace("i", "I")
    bits = f"{element[0]}{8 * int(element[1:])}"
    return [bits, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


if __name__ == "__main__":
    main()
