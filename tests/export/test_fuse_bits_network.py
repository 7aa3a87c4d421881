"""The pass that makes one step of a radio unit's integer network, and where it keeps out."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.integer.run import run_plan
from csideploy.export.passes import PIPELINE
from csideploy.export.plan import Op, Plan
from csideploy.export.ru_models import network_decoder_model
from csideploy.onnx_oracle import Oracle
from csideploy.quantize import quantize_part
from csideploy.runtime import Part

Array = NDArray[Any]
APART = [Op.UNPACK_BITS, Op.QLINEAR, Op.QLINEAR, Op.DEQUANTIZE]


def quantized(bits: int, hidden: tuple[int, ...], block: int, precision: str = "int8") -> bytes:
    rng = np.random.default_rng([bits, *hidden])
    layers, width = [], bits
    for made in (*hidden, 8):
        weight = rng.standard_normal((made, width)) * (2 / width) ** 0.5
        layers.append((weight.astype(np.float32), rng.standard_normal(made).astype(np.float32)))
        width = made
    model = network_decoder_model(layers, block=block, bits=bits)
    if precision == "fp32":
        return model.SerializeToString()
    seen = payload(bits, block, 64)
    return quantize_part(model, [seen[:32], seen[32:]], precision=precision, seed=0).models[""]


def payload(bits: int, block: int, count: int) -> Array:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, -(-block * bits // 8))).astype(np.uint8)


def compiled(model: bytes) -> Plan:
    return compile_model(onnx.load_model_from_string(model), part="ru", side="ru", n_max=3)


def ops(plan: Plan) -> list[Op]:
    return [step.op for step in plan.steps]


@pytest.mark.parametrize(("bits", "hidden", "block"), [(64, 64, 168), (13, 30, 7), (8, 512, 1)])
def test_one_step_gives_what_four_gave(
    bits: int, hidden: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = quantized(bits, (hidden,), block)
    fused = compiled(model)
    left_out = tuple(entry for entry in PIPELINE if entry[0] != "fuse_bits_network")
    monkeypatch.setattr("csideploy.export.compile.PIPELINE", left_out)
    apart = compiled(model)
    assert (ops(fused), ops(apart)) == ([Op.BITS_NETWORK], APART)
    assert fused.arena_bytes == 0 < apart.arena_bytes
    given = payload(bits, block, 5)
    (signal,) = Part(write_bundle(fused)).run(given)
    assert signal.shape == (5, block, 4, 2)
    for plan in (fused, apart):
        (made,) = Part(write_bundle(plan)).run(given)
        np.testing.assert_array_equal(made, signal)
        np.testing.assert_array_equal(run_plan(plan, [given])["signal"].reshape(made.shape), signal)
    np.testing.assert_array_equal(Oracle(model, name="ru").run(given)["signal"], signal)
    assert len(np.unique(signal)) > 8


@pytest.mark.parametrize(
    ("bits", "hidden", "precision"),
    [(7, (9,), "int8"), (16, (513,), "int8"), (16, (9, 9), "int8"), (16, (), "int8"),
     (16, (9,), "fp32")],
)  # fmt: skip
def test_what_stays_apart(bits: int, hidden: tuple[int, ...], precision: str) -> None:
    """Fewer bits than a byte, a wide layer, another number of layers, floats."""
    plan = compiled(quantized(bits, hidden, 6, precision))
    assert Op.BITS_NETWORK not in ops(plan)
    assert ops(plan)[0] is Op.UNPACK_BITS
