"""QONNX's operators one by one, ties and all roundings included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from csideploy.errors import UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import Op
from csideploy.export.standard_qonnx import standard_qonnx
from csideploy.runtime import Part

pytest.importorskip("torch")  # `quantized`, which the oracle shares, needs it

from networks import qonnx_oracle
from networks.judge import oracle

F32 = np.float32
ROUNDINGS = ["HALF_EVEN", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "ROUND_TO_ZERO"]
SCALE = F32(0.25)
"""A power of two: then ties are exact in float32 and in float64 alike."""


def model_of(op: str, parameters: list[Any], opset: int = 17, **attributes: Any) -> ModelProto:
    """x (n, 3, 50) -> one QONNX node -> y."""
    names = [f"p{index}" for index in range(len(parameters))]
    node = helper.make_node(op, ["x", *names], ["y"], "quantizer", domain=qonnx_oracle.DOMAIN)
    node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3, 50]) for n in "xy"]
    constants = [
        numpy_helper.from_array(np.asarray(value, F32), name)
        for name, value in zip(names, parameters, strict=True)
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], constants)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(qonnx_oracle.DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def with_ties() -> np.ndarray:
    """(2, 3, 50): multiples of half a step, far beyond the limits of 4 bits, then random ones."""
    ties = np.arange(-75, 75).reshape(1, 3, 50) * SCALE / 2
    drawn = np.random.default_rng(4).normal(0, 3, (1, 3, 50))
    return np.concatenate([ties, drawn]).astype(F32)


@pytest.mark.parametrize("rounding", ["ROUND", "CEIL", "FLOOR"])
@pytest.mark.parametrize("zero", [0.0, 2.0, 3.0, 0.5])
@pytest.mark.parametrize(
    ("bits", "signed", "narrow"), [(8, 1, 0), (4, 1, 1), (4, 0, 0), (3, 0, 1), (12, 1, 0)]
)
def test_quant(bits: int, signed: int, narrow: int, zero: float, rounding: str) -> None:
    model = model_of(
        "Quant", [SCALE, zero, bits], signed=signed, narrow=narrow, rounding_mode=rounding
    )
    x = with_ties()
    (made,) = Part(write_bundle(compile_model(model, part="q", side="ue"))).run(x)
    # All numbers here are short multiples of 1/8, exact in both.
    drawn = qonnx_oracle.run(model, x)
    np.testing.assert_allclose(made, drawn, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(made[0], drawn[0])


def test_quant_with_a_scale_a_channel() -> None:
    scales = np.array([0.25, 0.5, 0.125]).reshape(1, 3, 1)
    model = model_of("Quant", [scales, 0.0, 4], signed=1, narrow=0, rounding_mode="ROUND")
    (made,) = Part(write_bundle(compile_model(model, part="q", side="ue"))).run(with_ties())
    np.testing.assert_allclose(made, qonnx_oracle.run(model, with_ties()), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("bits", "opset"), [(8, 13), (5, 17), (12, 21), (16, 25)])
def test_quant_of_one_scale_is_a_quantize_step(bits: int, opset: int) -> None:
    model = model_of("Quant", [SCALE, 2.0, bits], opset, signed=1, narrow=1)
    plan = compile_model(model, part="q", side="ue")
    assert {Op.QUANTIZE, Op.DEQUANTIZE} <= {step.op for step in plan.steps}
    (made,) = Part(write_bundle(plan)).run(with_ties())
    np.testing.assert_allclose(made, qonnx_oracle.run(model, with_ties()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_quant_of_a_weight_rounds_in_every_way(rounding: str) -> None:
    """y = x + quant(w): the codes are computed when compiling."""
    model = model_of("IntQuant", [SCALE, 0.0, 4], signed=1, narrow=0, rounding_mode=rounding)
    weight = with_ties()[0]
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    model.graph.node[0].input[0] = "w"
    model.graph.node[0].output[0] = "quantized"
    model.graph.node.append(helper.make_node("Add", ["x", "quantized"], ["y"], "add"))
    x = with_ties() + F32(0.5)
    (made,) = Part(write_bundle(compile_model(model, part="q", side="ue"))).run(x)
    np.testing.assert_allclose(made, qonnx_oracle.run(model, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("signed", [0, 1])
def test_codes_of_32_bits_as_biases_have(signed: int) -> None:
    """Beyond what float32 has as whole numbers, and beyond both limits of the type."""
    model = model_of("Quant", [SCALE, 0.0, 32], signed=signed, narrow=0, rounding_mode="ROUND")
    weight = (with_ties()[0] * F32(2.0**26)).astype(F32)
    assert weight.max() / SCALE > 2**31
    assert weight.min() / SCALE < -(2**31)
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    model.graph.node[0].input[0] = "w"
    model.graph.node[0].output[0] = "quantized"
    model.graph.node.append(helper.make_node("Add", ["x", "quantized"], ["y"], "add"))
    x = with_ties() + F32(0.5)
    (made,) = Part(write_bundle(compile_model(model, part="q", side="ue"))).run(x)
    # The sum, and a code as a float, are rounded once each: 2^-24 of up to 2^30 (signed: 2^29).
    np.testing.assert_allclose(made, qonnx_oracle.run(model, x), rtol=2**-23, atol=1e-6)


@pytest.mark.parametrize(
    ("op", "parameters", "attributes"),
    [
        ("Quant", [SCALE, 2.0, 8], {"signed": 1, "narrow": 1}),
        ("Quant", [SCALE, 0.0, 3], {"signed": 0, "narrow": 0}),
        ("Quant", [SCALE, 0.5, 4], {"rounding_mode": "FLOOR"}),
        ("Quant", [np.array([0.25, 0.5, 0.125]).reshape(1, 3, 1), 0.0, 4], {}),
        ("BipolarQuant", [SCALE], {}),
        ("Trunc", [SCALE, 2.0, 8, 4 * SCALE, 3], {"rounding_mode": "FLOOR"}),
    ],
)
def test_in_standard_operators_onnx_runtime_runs_it(
    op: str, parameters: list[Any], attributes: dict[str, Any]
) -> None:
    model = model_of(op, parameters, **attributes)
    standard = standard_qonnx(model)
    assert not any(node.domain for node in standard.graph.node)
    assert standard_qonnx(standard) is standard
    (made,) = oracle(standard, with_ties())
    np.testing.assert_allclose(made, qonnx_oracle.run(model, with_ties()), rtol=0, atol=1e-6)


def test_bipolar_quant_of_an_activation() -> None:
    model = model_of("BipolarQuant", [SCALE])
    (made,) = Part(write_bundle(compile_model(model, part="q", side="ue"))).run(with_ties())
    np.testing.assert_array_equal(made, qonnx_oracle.run(model, with_ties()))
    assert set(np.unique(made)) == {-SCALE, SCALE}


@pytest.mark.parametrize("rounding", ["FLOOR", "ROUND", "CEIL"])
@pytest.mark.parametrize("parameters", [[SCALE, 0.0, 8, 6], [SCALE, 2.0, 8, 4 * SCALE, 3]])
def test_trunc(parameters: list[Any], rounding: str) -> None:
    model = model_of("Trunc", parameters, rounding_mode=rounding)
    (made,) = Part(write_bundle(compile_model(model, part="q", side="ue"))).run(with_ties())
    np.testing.assert_allclose(made, qonnx_oracle.run(model, with_ties()), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "attributes", "word"),
    [
        ([SCALE, 0.0, 8], {"rounding_mode": "HALF_UP"}, "HALF_UP"),
        ([SCALE, 0.0, 2.5], {}, "bit width"),
        ([SCALE, 0.0, 32], {}, "1 to 24"),
        ([-SCALE, 0.0, 8], {}, "positive"),
        ([SCALE, 0.0], {}, "bit width"),
    ],
)
def test_what_is_lacking_is_named(
    parameters: list[Any], attributes: dict[str, Any], word: str
) -> None:
    with pytest.raises(UnsupportedError, match="node 'quantizer'") as refusal:
        compile_model(model_of("Quant", parameters, **attributes), part="q", side="ue")
    assert word in str(refusal.value)
