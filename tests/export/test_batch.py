"""What becomes of the batch: symbolic, a literal 1 that stands for it, or none at all."""

import io
import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper
from plan_interpreter import run_plan
from small_models import floats, model, node
from test_operators import CASES as OPERATORS
from test_operators import feeds

from csideploy.errors import UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import DType, Plan
from csideploy.runtime import Part

torch = pytest.importorskip("torch")


def integers(*values: int) -> Any:
    return np.array(values, np.int64)


def compiled(proto: ModelProto, n_max: int = 1) -> Plan:
    return compile_model(proto, part="small", side="ue", n_max=n_max)


def theirs(proto: ModelProto, *arrays: np.ndarray) -> list[np.ndarray]:
    names = [info.name for info in proto.graph.input]
    session = ort.InferenceSession(proto.SerializeToString())
    return list(session.run(None, dict(zip(names, arrays, strict=True))))


def assert_close(ours: np.ndarray, other: np.ndarray) -> None:
    assert ours.shape == other.shape
    # ONNX Runtime computes in float32.
    np.testing.assert_allclose(ours, other, rtol=0, atol=1e-5 * max(1.0, abs(other).max()))


def has_batch(plan: Plan) -> bool:
    return any("n" in tensor.shape for tensor in plan.tensors)


def with_one_sample(proto: ModelProto) -> ModelProto:
    """The same file, written for one sample."""
    made = ModelProto()
    made.CopyFrom(proto)
    for info in made.graph.input:
        info.type.tensor_type.shape.dim[0].dim_value = 1
    del made.graph.value_info[:]
    return made


@pytest.mark.parametrize("name", OPERATORS)
def test_samples_stay_apart(name: str) -> None:
    """A batch of three is three batches of one, in ONNX Runtime: what the proof has promised."""
    proto = OPERATORS[name]
    given = feeds(proto)
    session = ort.InferenceSession(proto.SerializeToString())
    whole = session.run(None, given)
    for sample in range(3):
        part = session.run(None, {k: v[sample : sample + 1] for k, v in given.items()})
        for a, b in zip(whole, part, strict=True):
            assert_close(a[sample : sample + 1], b)


def test_a_literal_one_that_stands_for_the_batch() -> None:
    nodes = [
        node("Reshape", ["x", "rows"], ["a"]), node("Transpose", ["a"], ["b"], perm=[1, 0, 2]),
        node("Reshape", ["b", "heads"], ["c"]), node("Transpose", ["c"], ["d"], perm=[1, 0, 2]),
        node("Softmax", ["d"], ["e"]), node("Reshape", ["e", "flat"], ["f"]),
        node("Gemm", ["f", "w"], ["y"]),
    ]  # fmt: skip
    constants = {
        "rows": integers(1, 5, 6), "heads": integers(5, 2, 3), "flat": integers(1, -1),
        "w": floats(30, 4),
    }  # fmt: skip
    proto = model(nodes, {"x": (1, 30)}, ["y"], constants)
    plan = compiled(proto)
    assert plan.tensors[plan.outputs[0]].shape == ("n", 4)
    x = floats(3, 30)
    (ours,) = run_plan(plan, x)
    for sample in range(3):
        (other,) = theirs(proto, x[sample : sample + 1])
        assert_close(ours[sample : sample + 1], other)


@pytest.mark.parametrize(
    "name", ["attention", "1-D convolution", "Split in two sizes", "LayerNormalization"]
)
def test_written_for_one_sample_it_is_the_same_plan(name: str) -> None:
    dynamic, literal = compiled(OPERATORS[name]), compiled(with_one_sample(OPERATORS[name]))
    if name == "attention":  # its reshapes say (5, -1, 2), which for one sample is (5, 3, 2)
        assert has_batch(literal)
    else:
        assert literal.steps == dynamic.steps
        assert literal.tensors == dynamic.tensors


FIXED: dict[str, tuple[ModelProto, tuple[int, ...]]] = {
    "three samples, no more": (
        model([node("Softmax", ["x"], ["y"], axis=0)], {"x": (3, 4)}, ["y"]), (3, 4)),
    "one sample that is mixed with itself": (
        model([node("Squeeze", ["x", "a"], ["y"])], {"x": (1, 4)}, ["y"], {"a": integers(0)}),
        (1, 4)),
    "the mean of one": (
        model([node("ReduceMean", ["x", "a"], ["m"]), node("Exp", ["m"], ["y"])], {"x": (1, 4)},
              ["y"], {"a": integers(0, 1)}), (1, 4)),
    "one sample backwards": (
        model([node("Slice", ["x", "s", "e", "a", "s"], ["y"])], {"x": (1, 4)}, ["y"],
              {"s": integers(-1), "e": integers(-9), "a": integers(0)}), (1, 4)),
    "a row": (model([node("Cast", ["x"], ["c"], to=6), node("Cast", ["c"], ["y"], to=1)],
                    {"x": (5,)}, ["y"]), (5,)),
    "rows by a matrix": (
        model([node("MatMul", ["x", "w"], ["m"]), node("Transpose", ["m"], ["y"])], {"x": (7, 4)},
              ["y"], {"w": floats(4, 3)}), (7, 4)),
    "a vector by a matrix": (
        model([node("MatMul", ["x", "w"], ["y"])], {"x": (4,)}, ["y"], {"w": floats(4, 3)}), (4,)),
    "images, two of them": (
        model([node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
               node("Concat", ["c", "x"], ["y"], axis=0)], {"x": (2, 2, 4, 4)}, ["y"],
              {"w": floats(2, 2, 3, 3)}), (2, 2, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", FIXED)
def test_a_part_of_fixed_shape(name: str) -> None:
    proto, shape = FIXED[name]
    plan = compiled(proto)
    assert not has_batch(plan)
    x = floats(*shape) * 3
    (other,) = theirs(proto, x)
    for ours in (run_plan(plan, x)[0], Part(write_bundle(plan)).run(x)[0]):
        assert_close(ours, other)


def test_a_single_number_has_one_axis() -> None:
    plan = compiled(model([node("Exp", ["x"], ["y"])], {"x": ()}, ["y"]))
    assert plan.tensors[plan.inputs[0]].shape == (1,)
    np.testing.assert_allclose(run_plan(plan, np.array([2.0]))[0], [np.exp(2.0)])


def test_bool_and_int64_at_the_interface() -> None:
    entry = helper.make_graph(
        [node("Not", ["b"], ["nb"]), node("Where", ["nb", "i", "k"], ["y"]),
         node("Less", ["i", "k"], ["z"])],
        "types",
        [helper.make_tensor_value_info("b", TensorProto.BOOL, ["n", 3]),
         helper.make_tensor_value_info("i", TensorProto.INT64, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, None),
         helper.make_tensor_value_info("z", TensorProto.BOOL, None)],
        [onnx.numpy_helper.from_array(integers(-5, 0, 9), "k")],
    )  # fmt: skip
    proto = helper.make_model(entry, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    plan = compiled(proto)
    kinds = [plan.tensors[i].dtype for i in (*plan.inputs, *plan.outputs)]
    assert kinds == [DType.U8, DType.I32, DType.I32, DType.U8]
    b = np.array([[True, False, True], [False, True, False]])
    i = np.array([[-7, 3, 2], [4, -4, 11]], np.int64)
    ours = Part(write_bundle(plan)).run(b.astype(np.uint8), i.astype(np.int32))
    for mine, other in zip(ours, theirs(proto, b, i), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_constant_is_copied_for_each_sample() -> None:
    nodes = [
        node("Shape", ["x"], ["s"], end=1), node("Concat", ["s", "r"], ["t"], axis=0),
        node("Expand", ["k", "t"], ["y"]), node("Relu", ["x"], ["z"]),
    ]  # fmt: skip
    proto = model(nodes, {"x": ("n", 6)}, ["y", "z"], {"r": integers(6), "k": floats(1, 6)})
    x = floats(3, 6)
    for mine, other in zip(run_plan(compiled(proto), x), theirs(proto, x), strict=True):
        assert_close(mine, other)


def test_many_samples_in_one_run() -> None:
    proto = OPERATORS["attention"]
    plan = compiled(proto, n_max=4)
    x = floats(4, 5, 6)
    (ours,) = Part(write_bundle(plan)).run(x)
    assert_close(ours, theirs(proto, x)[0])


def test_operators_that_the_standard_defines_by_others() -> None:
    sides = dict.fromkeys("qkv", ("n", 5, 8))
    heads = {"q_num_heads": 2, "kv_num_heads": 2, "is_causal": 1}
    proto = model([node("Attention", [*"qkv"], ["y"], **heads)], sides, ["y"], opset=23)
    given = [floats(3, 5, 8, seed=i) for i in range(3)]
    (ours,) = run_plan(compiled(proto), *given)
    assert_close(ours, theirs(proto, *given)[0])


class Encoder(torch.nn.Module):  # type: ignore[misc, name-defined]
    """One transformer layer on (n, L, E); inside, the batch may be the second axis."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
        self.batch_first = batch_first

    def forward(self, x: Any) -> Any:
        if self.batch_first:
            return self.layer(x)
        return self.layer(x.transpose(0, 1)).transpose(0, 1)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("opset", [14, 17, 20])
def test_attention_as_the_exporter_writes_it(batch_first: bool, opset: int) -> None:
    module = Encoder(batch_first).eval()
    x = floats(3, 5, 8)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.from_numpy(x),), stream, dynamo=False, opset_version=opset,
            input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    proto = onnx.load_model_from_string(stream.getvalue())
    plan = compiled(proto)
    assert [step.op.name for step in plan.steps].count("LAYER_NORM") == 2
    five = floats(5, 5, 8, seed=2)  # another number of samples than the exporter saw
    assert_close(run_plan(plan, five)[0], theirs(proto, five)[0])


def test_functions_of_others_are_written_out() -> None:
    doubled = helper.make_function(
        "tools", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 21)],
    )  # fmt: skip
    proto = model([node("Relu", ["x"], ["r"])], {"x": ("n", 4)}, ["y"])
    proto.graph.node.append(helper.make_node("Twice", ["r"], ["y"], domain="tools", name="two"))
    proto.functions.append(doubled)
    proto.opset_import.add(domain="tools", version=1)
    x = floats(3, 4)
    assert_close(run_plan(compiled(proto), x)[0], 2 * np.maximum(x, 0))


def test_a_control_flow_is_named() -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["b"])], "b", [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
    )  # fmt: skip
    entry = node("If", ["c"], ["y"], name="choice", then_branch=branch, else_branch=branch)
    proto = model([entry], {"x": ("n", 4)}, ["y"], {"c": np.array(True)})
    with pytest.raises(UnsupportedError, match="node 'choice': operator If is not supported"):
        compiled(proto)
