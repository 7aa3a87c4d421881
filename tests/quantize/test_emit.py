"""The QDQ file: standard, close to the float network, and read back by our compiler to the bit."""

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper
from tiny_networks import chunks, encoder, floats, inputs, network, residual

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.integer.run import is_integer, run_plan
from csideploy.export.plan import Op
from csideploy.export.quantize.correct import corrections
from csideploy.export.quantize.emit import emit
from csideploy.export.quantize.observe import observe
from csideploy.export.quantize.points import find_points
from csideploy.export.quantize.prepare import prepare
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part


def quantized(model: ModelProto, bits: int) -> ModelProto:
    network = prepare(model)
    points = find_points(network)
    statistics, _ = observe(network, points, chunks(), seed=0)
    scales = {p.name: statistics[p.name].scale(p, p.fixed or bits) for p in points}
    return emit(network, points, scales)


def test_the_file_is_standard() -> None:
    made = quantized(residual(), 8)
    onnx.checker.check_model(made, full_check=True)
    assert {node.domain for node in made.graph.node} == {""}
    assert [(e.domain, e.version) for e in made.opset_import] == [("", 21)]
    assert made.ir_version == 10
    stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    weights = {k: v for k, v in stored.items() if k.endswith(".weight.quantized")}
    assert len(weights) == 5
    for name, codes in weights.items():
        assert codes.dtype == np.int8
        assert codes.min() >= -127
        scale = stored[name.replace("quantized", "step")]
        assert scale.shape == (len(codes),)
        # Every output uses its range to the end.
        np.testing.assert_array_equal(np.abs(codes.reshape(len(codes), -1)).max(1), 127)


@pytest.mark.parametrize(("bits", "least"), [(8, 20.0), (16, 35.0)])
def test_close_to_float(bits: int, least: float) -> None:
    source = residual()
    x = inputs(40, seed=3)
    exact = Oracle(source.SerializeToString(), name="float").run(x)["y"]
    made = Oracle(quantized(source, bits).SerializeToString(), name="qdq").run(x)["y"]
    # With 16-bit activations the 8-bit weights are what is left: 6 dB a bit, less the layers.
    assert 10 * np.log10(exact.var() / np.mean((made - exact) ** 2)) > least


def test_eight_bits_compile_to_integers_alone_and_equal_onnx_runtime() -> None:
    made = quantized(residual(), 8)
    plan = compile_model(made, part="p", side="ue")
    assert all(is_integer(step.op) for step in plan.steps)
    ops = [step.op for step in plan.steps]
    assert ops == [
        Op.QUANTIZE, Op.QCONV2D, Op.QACTIVATION, Op.QCONV2D, Op.QACTIVATION, Op.QCONV2D, Op.QADD,
        Op.QCONV2D, Op.QLINEAR, Op.DEQUANTIZE,
    ]  # fmt: skip
    x = inputs(50, seed=4)
    (ours,) = Part(write_bundle(plan)).run(x)
    theirs = Oracle(made.SerializeToString(), name="qdq").run(x)["y"]
    assert len(np.unique(theirs)) > 20
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(run_plan(plan, [x])["y"], theirs)


def test_an_encoder_has_no_float_between_input_and_payload() -> None:
    source = encoder()
    made = quantized(source, 8)
    assert [n.op_type for n in made.graph.node if n.domain] == [
        "BinaryLinear", "UniformQuantize", "PackBits",
    ]  # fmt: skip
    plan = compile_model(made, part="encoder", side="ue")
    ops = [step.op for step in plan.steps]
    assert ops == [
        Op.QUANTIZE, Op.QCONV2D, Op.QACTIVATION, Op.QBINARY_LINEAR, Op.QTHRESHOLD, Op.PACK_BITS,
    ]  # fmt: skip
    x = inputs(200, seed=5)
    codes, payload = Part(write_bundle(plan)).run(x)
    exact = Oracle(source.SerializeToString(), name="float").run(x)["codes"].astype(int)
    theirs = Oracle(made.SerializeToString(), name="qdq").run(x)["codes"]
    assert len(np.unique(exact)) == 8
    # ONNX Runtime computes the 16 bits in front of the sigmoid in float: a step off at most.
    assert (codes != theirs).mean() < 1e-3
    assert np.abs(codes - exact).max() <= 1
    assert (codes != exact).mean() < 0.1
    made_by_spec = run_plan(plan, [x])
    np.testing.assert_array_equal(codes, made_by_spec["codes"])
    np.testing.assert_array_equal(payload, made_by_spec["payload"])


def test_sequences() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["y"], group=2),
    ]
    constants = {
        "w": floats(4, 2, 5, seed=1),
        "b": floats(4, seed=2),
        "v": floats(6, 2, 3, seed=3),
    }
    source = network(nodes, constants, ("n", 2, 9), "y")
    x = [inputs(20, seed=s).reshape(20, 2, 36)[:, :, :9] for s in (1, 2)]
    prepared = prepare(source)
    points = find_points(prepared)
    assert [point.tensors for point in points] == [["x"], ["r"], ["y"]]
    statistics, _ = observe(prepared, points, x, seed=0)
    scales = {p.name: statistics[p.name].scale(p, 8) for p in points}
    shifts = corrections(prepared, points, scales, x, advance=lambda: None)
    made = emit(prepared, points, scales, shifts)
    plan = compile_model(made, part="p", side="ue")
    assert [s.op for s in plan.steps] == [Op.QUANTIZE, Op.QCONV2D, Op.QCONV2D, Op.DEQUANTIZE]
    (ours,) = Part(write_bundle(plan)).run(x[0])
    theirs = Oracle(made.SerializeToString(), name="qdq").run(x[0])["y"]
    np.testing.assert_array_equal(ours, theirs)


def test_names_that_are_taken() -> None:
    # The layer's own constant is called as the emitter would call a scale.
    source = encoder()
    stored = {t.name for t in quantized(source, 8).graph.initializer}
    assert {"fc.scale", "fc.step", "fc.zero"} <= stored
    renamed = encoder()
    for tensor in renamed.graph.initializer:
        tensor.name = "fc.step" if tensor.name == "fc.scale" else tensor.name
    call = next(n for n in renamed.graph.node if n.op_type == "BinaryLinear")
    call.input[2] = "fc.step"
    x = inputs(20, seed=6)
    a, b = (Oracle(quantized(m, 8).SerializeToString(), name="q").run(x) for m in (source, renamed))
    np.testing.assert_array_equal(a["codes"], b["codes"])


def test_an_output_that_is_read_inside() -> None:
    source = residual()
    source.graph.output.append(onnx.helper.make_tensor_value_info("a3", 1, None))
    made = quantized(source, 8)
    x = inputs(10, seed=7)
    theirs = Oracle(made.SerializeToString(), name="qdq").run(x)
    exact = Oracle(source.SerializeToString(), name="float").run(x)
    assert theirs["a3"].shape == exact["a3"].shape
    part = Part(write_bundle(compile_model(made, part="p", side="ue")))
    ours = dict(zip([info.name for info in part.outputs], part.run(x), strict=True))
    for name in ("y", "a3"):
        np.testing.assert_array_equal(ours[name], theirs[name])
