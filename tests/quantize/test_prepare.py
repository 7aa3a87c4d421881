"""What is prepared computes the same, in the form that the emitter wants."""

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper
from tiny_networks import encoder, floats, inputs, network, residual

from csideploy.export.quantize.prepare import is_quantized, prepare
from csideploy.onnx_oracle import Oracle


def run(model: ModelProto) -> dict[str, np.ndarray]:
    return Oracle(model.SerializeToString(), name="test").run(inputs(5, seed=9))


def test_batch_norm_and_gemm() -> None:
    source = residual()
    made = prepare(source)
    kinds = [node.op_type for node in made.model.graph.node]
    assert "BatchNormalization" not in kinds
    gemm = next(node for node in made.model.graph.node if node.op_type == "Gemm")
    assert {a.name: helper.get_attribute_value(a) for a in gemm.attribute} == {"transB": 1}
    assert made.constants[gemm.input[1]].shape == (10, 72)
    # float32 sums of 72 products in another order.
    np.testing.assert_allclose(run(made.model)["y"], run(source)["y"], rtol=1e-5, atol=1e-5)


def test_half_weights_become_float_constants() -> None:
    source = residual()
    for tensor in source.graph.initializer:
        if tensor.name == "w2":
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, "w2.half"))
    source.graph.node.insert(0, helper.make_node("Cast", ["w2.half"], ["w2"], to=1))
    made = prepare(source)
    assert made.constants["w2"].dtype == np.float32
    assert "Cast" not in [node.op_type for node in made.model.graph.node]
    np.testing.assert_allclose(run(made.model)["y"], run(source)["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("opset", [13, 17, 23])
def test_opsets(opset: int) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    source = network(nodes, {"w": floats(3, 2, 3, 3, seed=1)}, ("n", 2, 6, 6), "y", opset)
    made = prepare(source)
    (found,) = [entry.version for entry in made.model.opset_import if not entry.domain]
    assert found == max(opset, 21)
    np.testing.assert_array_equal(run(made.model)["y"], run(source)["y"])


def test_local_functions_stay_calls() -> None:
    made = prepare(encoder())
    calls = [node.op_type for node in made.model.graph.node if node.domain == "csideploy"]
    assert calls == ["BinaryLinear", "UniformQuantize", "PackBits"]
    assert not is_quantized(made.model)
    assert made.shapes["row"][1:] == (72,)


def test_the_source_is_left_alone() -> None:
    source = residual()
    before = source.SerializeToString(deterministic=True)
    prepare(source)
    assert source.SerializeToString(deterministic=True) == before


def test_the_result_is_valid() -> None:
    made = prepare(residual()).model
    onnx.checker.check_model(made, full_check=True)
    (output,) = made.graph.output
    assert [d.dim_value for d in output.type.tensor_type.shape.dim][1:] == [10]
