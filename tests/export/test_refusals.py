"""What the compiler does not take, and what it says: one line, the node, what would be right."""

from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import ModelProto
from small_models import call, floats, model, node
from test_operators import CASES as OPERATORS

from csideploy.errors import CsideployError, InputError, UnsupportedError
from csideploy.export.compile import compile_model
from csideploy.export.interface import append_quantizer
from csideploy.export.plan import PayloadLayout
from csideploy.export.supported import supported_ops
from csideploy.export.torch_onnx import export_part

X = {"x": ("n", 2, 4, 4)}
W = {"w": floats(3, 2, 3, 3)}
NORM = {key: floats(2, low=0.1) for key in "gbmv"}


def integers(*values: int) -> Any:
    return np.array(values, np.int64)


def one(entry: onnx.NodeProto, constants: Any = None, shape: Any = None, **more: Any) -> ModelProto:
    inputs = {"x": shape or X["x"]}
    return model([entry], inputs, [entry.output[0]], constants, **more)


def versions(ir: int = 10, opset: int = 21, own: int | None = None) -> ModelProto:
    made = one(node("Relu", ["x"], ["y"]))
    made.ir_version = ir
    made.opset_import[0].version = opset
    if own is not None:
        made.opset_import.add(domain="csideploy", version=own)
    return made


def elsewhere() -> ModelProto:
    made = one(node("Conv", ["x", "w"], ["y"]), W)
    made.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    made.graph.initializer[0].ClearField("raw_data")
    made.graph.initializer[0].external_data.add(key="location", value="weights.bin")
    return made


def other_body() -> ModelProto:
    made = one(call("UniformQuantize", ["x"], ["y"], bits=4), None, ("n", 4))
    (floor,) = (entry for entry in made.functions[0].node if entry.op_type == "Floor")
    floor.op_type = "Round"
    return made


def altered(entry: onnx.NodeProto, **attributes: Any) -> ModelProto:
    """Attributes with which ONNX's own inference would divide by zero, set after it."""
    made = one(entry)
    (kept,) = made.graph.node
    rest = [a for a in kept.attribute if a.name not in attributes]
    del kept.attribute[:]
    kept.attribute.extend(rest)
    kept.attribute.extend(onnx.helper.make_attribute(k, v) for k, v in attributes.items())
    return made


BN = ["x", "g", "b", "m", "v"]
CASES: dict[str, tuple[ModelProto, type[CsideployError], str]] = {
    "unknown operator": (
        one(node("Det", ["x"], ["y"], name="attention.det")),
        UnsupportedError,
        "node 'attention.det': operator Det is not supported; `csideploy supported-ops`",
    ),
    "unknown domain": (
        one(node("Relu", ["x"], ["y"], domain="com.example")),
        UnsupportedError,
        "com.example::Relu",
    ),
    "opset too old": (versions(opset=12), UnsupportedError, "opset 12; 13 to 25"),
    "opset too new": (versions(opset=26), UnsupportedError, "opset 26; 13 to 25"),
    "IR too new": (versions(ir=14), UnsupportedError, "IR version 14; 3 to 13"),
    "functions too new": (versions(own=2), UnsupportedError, "version 2; 1 is supported"),
    "not valid": (one(node("Relu", ["nowhere"], ["y"])), InputError, "not a valid ONNX model"),
    "weights in another file": (elsewhere(), InputError, "weight 'w' is in another file"),
    "input of doubles": (
        one(node("Relu", ["x"], ["y"]), dtype="float64"), UnsupportedError, "'x' is DOUBLE"),
    "a row of unknown length": (
        one(node("Relu", ["x"], ["y"]), shape=("n",)), UnsupportedError, "at least one more"),
    "two symbols": (
        one(node("Relu", ["x"], ["y"]), shape=("n", 2, "w")), UnsupportedError, "only the batch"),
    "one input without batch": (
        model([node("Add", ["x", "z"], ["y"])], {**X, "z": (2, 4, 4)}, ["y"]), UnsupportedError,
        "input 'z' has no batch"),
    "one batch a symbol, one a literal": (
        model([node("Add", ["x", "z"], ["y"])], {**X, "z": (1, 2, 4, 4)}, ["y"]), UnsupportedError,
        "input 'z' has a batch of 1"),
    "a constant of other samples": (
        one(node("Add", ["x", "k"], ["y"]), {"k": floats(3, 1, 1, 1)}), UnsupportedError,
        "takes one sample, .* but no batch"),
    "a weight that is computed": (
        model([node("Relu", ["z"], ["w"]), node("Gemm", ["x", "w"], ["y"])],
              {"x": ("n", 4), "z": ("n", 4)}, ["y"]),
        UnsupportedError, "does not fit|depend on the sample"),
    "3-D convolution": (
        one(node("Conv", ["x", "w"], ["y"]), {"w": floats(3, 2, 3, 3, 3)}, ("n", 2, 9, 9, 9)),
        UnsupportedError, "node 'node0' .*\\(n, C, L\\) and"),
    "groups that do not fit": (
        one(node("Conv", ["x", "w"], ["y"], group=2), W), UnsupportedError, "2 groups"),
    "a stride of nothing": (
        altered(node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2]), strides=[0, 1]),
        UnsupportedError, "strides .* 1 to 65535"),
    "blocks beyond any size": (
        altered(node("SpaceToDepth", ["x"], ["y"], blocksize=2), blocksize=1 << 62),
        UnsupportedError, "blocksize .* 1 to 65535"),
    "a kernel larger than the image": (
        one(node("Conv", ["x", "w"], ["y"]), {"w": floats(1, 2, 5, 5)}), UnsupportedError,
        "empty tensor of shape"),
    "batch norm in training": (
        one(node("BatchNormalization", BN, ["y", "m2", "v2"], training_mode=1), NORM),
        UnsupportedError, "node 'node0'"),
    "dropout in training": (
        one(node("Dropout", ["x", "r", "t"], ["y"]), {"r": np.float32(0.5), "t": np.array(True)}),
        UnsupportedError, "training mode"),
    "batch norm of negative variance": (
        one(node("BatchNormalization", BN, ["y"]), {**NORM, "v": floats(2, low=-2, high=-1)}),
        UnsupportedError, "variance"),
    "samples joined": (
        one(node("Concat", ["x", "x"], ["y"], axis=0)), UnsupportedError, "mixes the samples"),
    "samples in other rows": (
        one(node("Reshape", ["x", "t"], ["y"]), {"t": integers(-1, 16)}), UnsupportedError,
        "batch in front"),
    "softmax over the samples": (
        one(node("Softmax", ["x"], ["y"], axis=0)), UnsupportedError, "mixes the samples"),
    "the mean of the samples": (
        one(node("ReduceMean", ["x", "a"], ["y"]), {"a": integers(0, 2)}), UnsupportedError,
        "mixes the samples"),
    "samples against each other": (
        model([node("Flatten", ["x"], ["f"]), node("Transpose", ["f"], ["t"]),
               node("MatMul", ["f", "t"], ["y"])], X, ["y"]),
        UnsupportedError, "mixes the samples"),
    "flattened with the batch": (
        one(node("Flatten", ["x"], ["y"], axis=0)), UnsupportedError, "batch in front"),
    "the batch moved away": (
        one(node("Transpose", ["x"], ["y"], perm=[1, 0, 2, 3])), UnsupportedError,
        "output 'y' .* batch in front"),
    "calculation with the batch": (
        model([node("Shape", ["x"], ["s"], end=1), node("Cast", ["s"], ["f"], to=1),
               node("Div", ["x", "f"], ["y"])], X, ["y"]),
        UnsupportedError, "calculates with the batch size"),
    "the batch as a result": (
        model([node("Shape", ["x"], ["s"]), node("Relu", ["x"], ["y"])], X, ["y", "s"]),
        UnsupportedError, "output 's' holds the batch size"),
    "to another type": (one(node("Cast", ["x"], ["y"], to=10)), UnsupportedError, "float16"),
    "a type that does not exist": (
        one(node("Cast", ["x"], ["y"], to=99)), UnsupportedError, "node 'node0'"),
    "weights of doubles": (
        one(node("Conv", ["x", "w"], ["y"]), {"w": W["w"].astype(np.float64)}), CsideployError,
        "double|not a valid"),
    "seven axes": (
        model([node("Reshape", ["x", "t"], ["r"]), node("Exp", ["r"], ["y"])], X, ["y"],
              {"t": integers(0, 2, 1, 2, 2, 2, 2)}),
        UnsupportedError, "7 dimensions"),
    "an integer that does not fit": (
        model([node("Add", ["x", "k"], ["y"])], {"x": ("n", 4)}, ["y"],
              {"k": integers(1 << 40)}, dtype="int64"),
        UnsupportedError, "does not fit 32 bits"),
    "our name, another body": (other_body(), UnsupportedError, "another body than version 1"),
    "larger than any device": (
        one(node("Relu", ["x"], ["y"]), shape=("n", 2, 1 << 20, 1 << 20)), UnsupportedError,
        "tensor 'x' .* 8796093022208 bytes; at most"),
    "a constant larger than any device": (
        model([node("Add", ["a", "b"], ["c"]), node("ReduceMax", ["c"], ["d"]),
               node("Add", ["x", "d"], ["y"])], X, ["y"],
              {"a": floats(1 << 15, 1), "b": floats(1, 1 << 15)}),
        UnsupportedError, "larger than any device"),
    "nine bits": (
        one(call("UniformQuantize", ["x"], ["y"], bits=9), None, ("n", 4)), UnsupportedError,
        "9 bits"),
    "packed rows too short": (
        one(call("BinaryLinear", ["x", "p", "s", "b"], ["y"], in_features=9),
            {"p": np.ones((2, 1), np.uint8), "s": floats(1), "b": floats(2)}, ("n", 9)),
        UnsupportedError, "rows of 1 bytes; 9 inputs need 2"),
    "an input as output": (
        model([node("Relu", ["x"], ["y"])], X, ["y", "x"]), UnsupportedError, "nothing to compile"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_refused_in_one_line(name: str) -> None:
    proto, error, message = CASES[name]
    with pytest.raises(error, match=message) as caught:
        compile_model(proto, part="small", side="ue")
    assert "\n" not in str(caught.value)


def refusal(proto: ModelProto) -> str:
    """The message, or nothing where it compiles; any other exception passes through."""
    try:
        compile_model(proto, part="small", side="ue")
    except CsideployError as error:
        return str(error)
    return ""


def test_a_mutated_file_compiles_or_is_refused_in_one_line() -> None:
    rng = np.random.default_rng(11)
    files = [proto.SerializeToString() for proto, _, _ in CASES.values()]
    files += [proto.SerializeToString() for proto in OPERATORS.values()]
    outcomes = {"compiled": 0, "refused": 0, "no protobuf": 0}
    for _ in range(2000):
        data = bytearray(files[rng.integers(len(files))])
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.choice([0, 1, 2, 255, rng.integers(256)])
        try:
            proto = onnx.load_model_from_string(bytes(data))
        except DecodeError:
            outcomes["no protobuf"] += 1
            continue
        message = refusal(proto)
        assert "\n" not in message
        assert "defect" not in message
        outcomes["refused" if message else "compiled"] += 1
    assert min(outcomes.values()) > 0


def test_arguments_are_checked() -> None:
    relu = one(node("Relu", ["x"], ["y"]), None, ("n", 4))
    with pytest.raises(InputError, match="16 are right"):
        compile_model(relu, part="a", side="ue", pairing_id=b"short")
    with pytest.raises(InputError, match="n_max = 0"):
        compile_model(relu, part="a", side="ue", n_max=0)
    packing = one(call("PackBits", ["x"], ["y"], bits=4), None, ("n", 4), dtype="uint8")
    with pytest.raises(InputError, match="8 codes of 4 bits declared, but the network makes 4"):
        compile_model(packing, part="a", side="ue", payload=PayloadLayout(0x104, 8, 4))
    with pytest.raises(InputError, match="9 bits"):
        append_quantizer(relu, 9)


def test_export_arguments_are_checked() -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(4, 4)
    with pytest.raises(InputError, match="side 'gnb'"):
        export_part(layer, "gnb")
    with pytest.raises(InputError, match="needs `features`"):
        export_part(layer, "bs")
    with pytest.raises(
        InputError, match=r"torch cannot export Linear on input \(n, 9\): "
    ) as caught:
        export_part(layer, "bs", features=9)
    assert "\n" not in str(caught.value)


def test_supported_operators_are_listed_once() -> None:
    names = [(row["domain"], row["operator"]) for row in supported_ops()]
    assert len(set(names)) == len(names)
    assert ("csideploy", "BinaryLinear") in names
