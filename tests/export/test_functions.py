"""The local functions, run by ONNX Runtime and by onnx's own evaluator, against NumPy."""

from typing import Any

import function_oracles as oracles
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from csideploy.export.functions import DOMAIN, FUNCTIONS, attach_functions

ELEMENT = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.uint8): TensorProto.UINT8}


def call(name: str, output: Any, *arrays: Any, constants: dict[str, Any], **attributes: int) -> Any:
    """A model of one call, batch symbolic; run by both runtimes, which must agree in type."""
    names = [f"in{i}" for i in range(len(arrays))]
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(name, [*names, *constants], ["out"], domain=DOMAIN, **attributes)],
            "call",
            [
                helper.make_tensor_value_info(n, ELEMENT[a.dtype], ["n", *a.shape[1:]])
                for n, a in zip(names, arrays, strict=True)
            ],
            [helper.make_tensor_value_info("out", output, ["n", None])],
            [onnx.numpy_helper.from_array(a, n) for n, a in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    attach_functions(model)
    onnx.checker.check_model(model, full_check=True)
    feeds = dict(zip(names, arrays, strict=True))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (first,) = session.run(None, feeds)
    (second,) = ReferenceEvaluator(model).run(None, feeds)
    assert first.dtype == second.dtype
    return first, second


@pytest.mark.parametrize(("n", "k", "m", "rows"), [(1, 64, 8, 1), (3, 37, 5, 5), (2, 2048, 512, 1)])
def test_binary_linear(n: int, k: int, m: int, rows: int) -> None:
    rng = np.random.default_rng(k)
    x = rng.standard_normal((n, k)).astype(np.float32)
    packed = rng.integers(0, 256, (m, -(-k // 8)), np.uint8)
    scale = rng.uniform(0.1, 1, rows).astype(np.float32)
    bias = rng.standard_normal(m).astype(np.float32)
    want = oracles.binary_linear(x, packed, scale, bias)
    got = call(
        "BinaryLinear",
        TensorProto.FLOAT,
        x,
        constants={"packed": packed, "scale": scale, "bias": bias},
        in_features=k,
    )
    for y in got:
        np.testing.assert_allclose(y, want, rtol=0, atol=1e-4 * max(1, np.abs(want).max()))


@pytest.mark.parametrize("bits", range(1, 9))
def test_uniform_quantize(bits: int) -> None:
    rng = np.random.default_rng(bits)
    edges = np.arange(0, 2**bits + 1) / 2**bits
    x = np.concatenate([edges, np.nextafter(edges.astype(np.float32), 0), rng.random(500)])
    x = np.append(x, [-0.5, -1e-9, 1.5, 300.0, np.nan, np.inf, -np.inf]).astype(np.float32)[None]
    want = oracles.uniform_quantize(x, bits)
    for got in call("UniformQuantize", TensorProto.UINT8, x, constants={}, bits=bits):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", [1, 5, 16])
def test_payload_bits(bits: int, count: int) -> None:
    rng = np.random.default_rng(bits * 100 + count)
    codes = rng.integers(0, 256, (3, count), np.uint8)  # high bits set: they must be ignored
    want = oracles.pack_bits(codes, bits)
    for got in call("PackBits", TensorProto.UINT8, codes, constants={}, bits=bits):
        np.testing.assert_array_equal(got, want)
    noise = rng.integers(0, 256, want.shape, np.uint8)  # the pad is not zero: it must be ignored
    for got in call("UnpackBits", TensorProto.UINT8, noise, constants={}, count=count, bits=bits):
        np.testing.assert_array_equal(got, oracles.unpack_bits(noise, count, bits))
    np.testing.assert_array_equal(
        oracles.unpack_bits(want, count, bits), codes % np.uint16(2**bits)
    )


@pytest.mark.parametrize("bits", range(1, 9))
def test_uniform_dequantize(bits: int) -> None:
    codes = np.arange(256, dtype=np.uint8)[None]
    want = oracles.uniform_dequantize(codes.astype(np.uint16), bits)
    for got in call("UniformDequantize", TensorProto.FLOAT, codes, constants={}, bits=bits):
        np.testing.assert_array_equal(got, want)


def test_every_function_has_one_name() -> None:
    for name, build in FUNCTIONS.items():
        function = build()
        assert (function.domain, function.name) == (DOMAIN, name)
