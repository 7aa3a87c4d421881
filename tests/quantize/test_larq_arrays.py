"""What a Larq model is made of: NumPy does with it what that model does, and gives our results.

The Larq Compute Engine needs an environment of its own (docs/larq.md), where
`benchmarks/larq/encoder.py` holds the converted model against the same parts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from tiny_networks import encoder as tiny_encoder
from tiny_networks import inputs

from csideploy.calibration import generated
from csideploy.errors import UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.larq import larq_arrays
from csideploy.export.plan import Plan
from csideploy.quantize import quantize_part
from csideploy.runtime import Part

Array = NDArray[Any]
Case = tuple[dict[str, Array], Plan, Plan, Array]


@pytest.fixture(scope="module", params=[("int8", "uint8"), ("auto", "int16")], ids=lambda p: p[0])
def case(request: pytest.FixtureRequest, repository: Path) -> Case:
    """Arrays, fp32 and integer plan of the zoo's BACRNet-10x encoder, and 32 inputs."""
    precision, kind = request.param
    x = generated("indoor", seed=3)[:32]
    model = onnx.load(repository / "zoo" / "bacrnet10x" / "ue.onnx")
    qdq = quantize_part(model, [x], precision=precision, seed=0).models[""]
    network, integers = (
        compile_model(m, part="encoder", side="ue")
        for m in (model, onnx.load_model_from_string(qdq))
    )
    arrays = larq_arrays(network, integers)
    assert str(arrays["fc.x_type"]) == kind
    return arrays, network, integers, x


def planes_of(codes: Array, offset: int, count: int) -> Array:
    """Signs (n, P, K) as the model finds them, in float32."""
    u = (codes.astype(np.int64) + offset).astype(np.float32)[:, None]
    v = u * (0.5 ** np.arange(1, count + 1)).astype(np.float32).reshape(1, -1, 1)
    return np.where(v - np.floor(v) - np.float32(0.5) >= 0, np.float32(1), np.float32(-1))


def fc(arrays: dict[str, Array], q: Array) -> tuple[Array, Array, Array]:
    """Sums, results and payload codes, in the model's order and in float32 throughout."""
    _, offset, low, high = arrays["fc.bounds"]
    groups = len(arrays["fc.constants"])
    products = planes_of(q, offset, 8 * groups) @ arrays["fc.signs"].T.astype(np.float32)
    halves = np.tile(2.0 ** np.arange(-1, 7), groups).astype(np.float32).reshape(1, -1, 1)
    grouped = (products * halves).reshape(len(q), groups, 8, -1).sum(axis=2, dtype=np.float32)
    grouped += arrays["fc.constants"].astype(np.float32)
    acc = grouped[:, 0]
    for group in range(1, groups):
        acc = acc + grouped[:, group] * np.float32(256**group)
    y = np.clip(np.rint(acc * arrays["fc.multiplier"]), low, high) + arrays["fc.y_zero"]
    return acc, y, (y[:, None] >= arrays["fc.thresholds"].reshape(1, -1, 1)).sum(axis=1)


def any_integers(arrays: dict[str, Array]) -> Array:
    """Rows of the whole range of the FC's input, the extremes among them."""
    kind = np.iinfo(str(arrays["fc.x_type"]))
    shape = (20, arrays["fc.signs"].shape[1])
    q = np.random.default_rng(4).integers(kind.min, kind.max + 1, shape)
    q[0], q[1] = kind.min, kind.max
    return q.astype(kind.dtype)


def test_bit_planes_make_the_sums_of_the_integers(case: Case) -> None:
    arrays, q = case[0], any_integers(case[0])
    exact = (
        arrays["fc.bias"].astype(np.int64)
        + (q.astype(np.int64) - arrays["fc.bounds"][0]) @ arrays["fc.signs"].astype(np.int64).T
    )
    assert np.abs(exact).max() > 10_000
    np.testing.assert_array_equal(fc(arrays, q)[0], exact.astype(np.float32))


def test_the_fc_alone_is_our_fc(case: Case) -> None:
    """The bundle in the file, and the whole encoder's own integers."""
    arrays, _, integers, x = case
    q = any_integers(arrays)
    y, codes, payload = Part(arrays["fc.bundle"].tobytes()).run(q)
    _, y_planes, codes_planes = fc(arrays, q)
    np.testing.assert_array_equal(y_planes, y)
    np.testing.assert_array_equal(codes_planes, codes)
    assert payload.shape == (len(q), codes.shape[1] * int(arrays["bits"]) // 8)
    whole = Part(write_bundle(integers))
    for sample in x[:3]:
        steps = whole.trace(sample[None])
        own = steps[-4][1][0].reshape(1, -1)
        _, y_planes, codes_planes = fc(arrays, own)
        np.testing.assert_array_equal(y_planes, steps[-3][1][0])
        np.testing.assert_array_equal(codes_planes, steps[-2][1][0])
        assert len(np.unique(codes_planes)) > 4


def convolution(x: Array, weight: Array, bias: Array) -> Array:
    """Stride 1, padding 'same'."""
    top, left = (size // 2 for size in weight.shape[2:])
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    windows = sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weight) + bias.reshape(1, -1, 1, 1)


def test_the_layers_are_those_of_the_fp32_encoder(case: Case) -> None:
    arrays, network, integers, x = case
    made = [x[:1].astype(np.float64)]
    for at, layer in enumerate(json.loads(str(arrays["layers"]))):
        y = convolution(made[layer["input"] + 1], arrays[f"{at}.weight"], arrays[f"{at}.bias"])
        if layer["residual"] is not None:
            y = y + made[layer["residual"] + 1]
        slope = arrays[f"{at}.slope"].reshape(1, -1, 1, 1)
        made.append(np.where(y < 0, y * slope, y))
    traced = Part(write_bundle(network)).trace(x[:1])
    for ours, theirs in zip(made[1:], traced, strict=False):
        # At most 50 float32 products a sum, a few layers deep.
        np.testing.assert_allclose(ours, theirs[1][0], rtol=0, atol=1e-5 * np.abs(ours).max())
    # The scale is that of the integers in front of the FC: their values are these, roughly.
    scale, zero = float(arrays["fc.x_scale"]), int(arrays["fc.bounds"][0])
    codes = Part(write_bundle(integers)).trace(x[:1])[-4][1][0].astype(np.float64)
    error = np.sum(((codes - zero) * scale - made[-1]) ** 2) / np.sum(made[-1] ** 2)
    assert error < 0.05


def test_a_network_of_another_kind_is_refused_by_the_name_of_its_step() -> None:
    model, x = tiny_encoder(), inputs(16)
    network = compile_model(model, part="encoder", side="ue")
    with pytest.raises(UnsupportedError, match=r"'node.fc' is BINARY_LINEAR.*--precision int8"):
        larq_arrays(network, network)
    qdq = quantize_part(model, [x], precision="int8", seed=0).models[""]
    integers = compile_model(onnx.load_model_from_string(qdq), part="encoder", side="ue")
    assert json.loads(str(larq_arrays(network, integers)["layers"]))[0]["input"] == -1
    # A stride: half the rows, so that Keras' "same" would mean something else.
    strided = tiny_encoder()
    conv = next(node for node in strided.graph.node if node.op_type == "Conv")
    conv.attribute.append(onnx.helper.make_attribute("strides", [2, 2]))
    flat = next(i for i in strided.graph.initializer if i.name == "flat")
    flat.CopyFrom(onnx.numpy_helper.from_array(np.array([-1, 18], np.int64), "flat"))
    signs = next(i for i in strided.graph.initializer if i.name == "signs")
    packed = np.random.default_rng(1).integers(0, 256, (12, 3), np.uint8) & [255, 255, 192]
    signs.CopyFrom(onnx.numpy_helper.from_array(packed.astype(np.uint8), "signs"))
    linear = next(node for node in strided.graph.node if node.op_type == "BinaryLinear")
    linear.attribute[0].i = 18
    with pytest.raises(UnsupportedError, match=r"stride 1"):
        larq_arrays(compile_model(strided, part="encoder", side="ue"), integers)
