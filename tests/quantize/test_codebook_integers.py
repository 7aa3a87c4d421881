"""Codebooks in integer networks: exact thresholds, and whole links to the bit."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.functions import attach_functions
from csideploy.export.integer.elementwise import dequantize
from csideploy.export.integer.functions import evaluate, function_of
from csideploy.export.integer.run import is_integer, run_plan
from csideploy.export.integer.tables import codebook_thresholds_of
from csideploy.export.interface import append_codebook
from csideploy.export.operations import Unary
from csideploy.export.plan import Activation, Op
from csideploy.export.quantize.points import find_points
from csideploy.export.quantize.prepare import prepare
from csideploy.export.torch_onnx import export_part
from csideploy.onnx_oracle import Oracle
from csideploy.quantize import quantize_link, quantize_part
from csideploy.quantizers.scalar import Codebook
from csideploy.runtime import Part

Array = NDArray[Any]
OUTPUTS = 33
IMAGE = (2, 8, 8)
FEW = 40


@pytest.fixture(scope="module")
def book() -> Codebook:
    rng = np.random.default_rng(5)
    widths = rng.integers(0, 9, OUTPUTS).astype(np.uint8)
    assert {0, 8} <= set(widths.tolist())
    values = np.concatenate([np.sort(rng.normal(size=1 << int(b)) * 0.3) for b in widths])
    return Codebook(widths, values.astype(np.float32))


def encoder(last: nn.Module) -> nn.Module:
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.LeakyReLU(0.3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(4 * 64, OUTPUTS), last)


def decoder() -> nn.Module:
    first = nn.Linear(OUTPUTS, 128)
    return nn.Sequential(first, nn.Unflatten(1, IMAGE), nn.Conv2d(2, 2, 3, padding=1))


def images(seed: int) -> Array:
    return np.random.default_rng(seed).random((FEW, *IMAGE)).astype(np.float32)


@pytest.mark.parametrize("precision", ["int8", "auto"])
@pytest.mark.parametrize("last", [nn.Identity(), nn.Tanh()], ids=["linear", "tanh"])
def test_a_link_in_integers(book: Codebook, last: nn.Module, precision: str) -> None:
    torch.manual_seed(1)
    about: dict[str, Any] = {"codebook": book, "csi_shape": IMAGE}
    ue = export_part(encoder(last), "ue", **about).SerializeToString()
    bs = export_part(decoder(), "bs", features=OUTPUTS, **about).SerializeToString()
    made = quantize_link(ue, bs, [images(1), images(2)], precision=precision, seed=0).models
    plans = {
        side: compile_model(onnx.load_model_from_string(made[side]), part="p", side=side)
        for side in ("ue", "bs")
    }
    ops = {side: [step.op for step in plan.steps] for side, plan in plans.items()}
    assert ops["ue"][-2:] == [Op.QCODEBOOK, Op.PACK_WIDTHS]
    assert all(is_integer(op) for op in ops["ue"][:-1])
    assert ops["bs"][:3] == [Op.UNPACK_WIDTHS, Op.DEQUANTIZE_CODEBOOK, Op.QUANTIZE]
    assert all(is_integer(op) for op in ops["bs"][2:])
    # In front of the quantizer 16 bits, whatever the precision.
    quantizer = plans["ue"].steps[-2]
    assert quantizer.inputs[0] is not None
    assert plans["ue"].tensors[quantizer.inputs[0]].dtype.name == "I16"

    x = images(3)
    codes, payload = Part(write_bundle(plans["ue"])).run(x)
    specified = run_plan(plans["ue"], [x])
    np.testing.assert_array_equal(codes, specified["codes"])
    np.testing.assert_array_equal(payload, specified["payload"])
    (h,) = Part(write_bundle(plans["bs"])).run(payload)
    np.testing.assert_array_equal(h, run_plan(plans["bs"], [payload])["h"])
    assert len(np.unique(codes)) > 50
    # ONNX Runtime computes 16 bits in float: a code off at most, now and then.
    theirs = Oracle(made["ue"], name="qdq").run(x)["codes"]
    assert (codes != theirs).mean() < 1e-3
    exact = Oracle(ue, name="float").run(x)["codes"].astype(int)
    # Values lie at random, some of 256 closer than the error of 8 bits: half a dozen codes off.
    assert np.abs(codes - exact).mean() < 2


def test_a_part_alone_is_judged_by_what_goes_into_its_codebook(book: Codebook) -> None:
    torch.manual_seed(2)
    model = export_part(encoder(nn.Identity()), "ue", codebook=book, csi_shape=IMAGE)
    points = find_points(prepare(model))
    assert [p.fixed for p in points if "feature" in p.tensors] == [16]
    made = quantize_part(model, [images(1)], precision="int8", seed=0)
    plan = compile_model(onnx.load_model_from_string(made.models[""]), part="p", side="ue")
    assert plan.steps[-2].op is Op.QCODEBOOK
    assert np.isfinite(made.loss_db)


SIGMOID, TANH = function_of(Activation.SIGMOID), function_of(Activation.TANH)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16])
@pytest.mark.parametrize(
    "functions", [[], [TANH], [function_of(Unary.CLIP, -0.5, 0.25), SIGMOID]], ids=len
)
def test_thresholds_are_exact(
    functions: Sequence[Callable[[Array], Array]], dtype: type[np.integer[Any]]
) -> None:
    """For every code of x, by the definition; thresholds on values of x and between them."""
    limits = np.iinfo(dtype)
    scale, zero = 4.0 / (int(limits.max) - int(limits.min)), 3
    x = np.arange(limits.min, limits.max + 1)
    value = evaluate(functions, dequantize(x.astype(dtype), scale, zero))
    rng = np.random.default_rng(1)
    floats = np.concatenate([value[:: max(1, len(value) // 99)], rng.normal(size=50), [-9, 9]])
    floats = np.sort(floats).astype(np.float32)
    made = codebook_thresholds_of(
        functions, floats, x_scale=scale, x_zero=zero, x_dtype=np.dtype(dtype)
    )
    assert made.dtype == np.int32
    assert (made[0], made[-1]) == (limits.min, limits.max + 1)
    expected = (floats[None, :] < value[:, None]).sum(axis=1)
    assert np.array_equal((made[None, :] <= x[:, None]).sum(axis=1), expected)


def test_thresholds_need_a_rising_function() -> None:
    about: dict[str, Any] = {"x_scale": 0.1, "x_zero": 0, "x_dtype": np.dtype(np.int8)}
    floats = np.array([0.5, 1.0], np.float32)
    with pytest.raises(ValueError, match="never falls"):
        codebook_thresholds_of([function_of(Unary.NEG)], floats, **about)
    # The logarithm of a negative number is NaN, which passes nothing, and so rises from there.
    made = codebook_thresholds_of([function_of(Unary.LOG)], floats, **about)
    assert made.tolist() == [17, 28]


@pytest.mark.parametrize("falls", [False, True])
def test_a_falling_function_stays_in_float(book: Codebook, falls: bool) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Neg" if falls else "Tanh", ["d"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", OUTPUTS])
        for name in ("x", "y")
    ]
    scale, zero = np.array(0.01, np.float32), np.array(0, np.int8)
    stored = [onnx.numpy_helper.from_array(a, n) for a, n in ((scale, "s"), (zero, "z"))]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:], stored),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    append_codebook(model, book)
    attach_functions(model)
    plan = compile_model(model, part="p", side="ue")
    ops = [step.op for step in plan.steps]
    assert (Op.QUANTIZE_CODEBOOK in ops, Op.QCODEBOOK in ops) == (falls, not falls)
    x = np.random.default_rng(2).normal(size=(FEW, OUTPUTS)).astype(np.float32)
    codes, _ = Part(write_bundle(plan)).run(x)
    theirs = Oracle(model.SerializeToString(), name="qdq").run(x)["codes"]
    np.testing.assert_array_equal(codes, theirs)
    np.testing.assert_array_equal(codes, run_plan(plan, [x])["codes"])
