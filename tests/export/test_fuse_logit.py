"""The pass that makes thresholds of the sigmoid in front of a payload, and where it keeps out."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from small_models import floats, model, node

from csideploy.band import band_of, near_uniform
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.functions import DOMAIN
from csideploy.export.integer.run import is_integer
from csideploy.export.passes import PIPELINE
from csideploy.export.plan import Op, Plan
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

Array = NDArray[Any]
APART = tuple(entry for entry in PIPELINE if entry[0] != "fuse_logit")


def compiled(network: onnx.ModelProto) -> Plan:
    return compile_model(network, part="ue", side="ue", n_max=4)


def ops(plan: Plan) -> list[Op]:
    return [step.op for step in plan.steps]


def payload(*nodes: onnx.NodeProto, bits: int = 4, outputs: tuple[str, ...] = ()) -> Any:
    """From 24 inputs: nodes from "x" to "s", then quantizer and packing; the sigmoid is of 12."""
    ends = [
        node("UniformQuantize", ["s"], ["codes"], domain=DOMAIN, bits=bits),
        node("PackBits", ["codes"], ["payload"], domain=DOMAIN, bits=bits),
    ]
    constants = {"w": floats(12, 24) * 4, "b": floats(12), "shape": np.array([0, -1], np.int64)}
    return model([*nodes, *ends], X, ["codes", "payload", *outputs], constants)


LAYER = node("Gemm", ["x", "w", "b"], ["z"], transB=1)
SIGMOID = node("Sigmoid", ["z"], ["s"])
X = {"x": ("n", 24)}


def check(network: Any, expected: list[Op], monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The steps, and the bits of the plan without the pass."""
    plan = compiled(network)
    assert ops(plan) == expected
    monkeypatch.setattr("csideploy.export.compile.PIPELINE", APART)
    apart = compiled(network)
    x = np.random.default_rng(1).normal(size=(4, 24)).astype(np.float32)
    ours, before = (Part(write_bundle(p)).run(x) for p in (plan, apart))
    for made, wanted in zip(ours, before, strict=True):
        np.testing.assert_array_equal(made, wanted)
    assert np.ptp(ours[0]) > 0
    return plan


@pytest.mark.parametrize("bits", [1, 3, 4, 8])
def test_a_layer_and_its_payload(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = payload(LAYER, SIGMOID, bits=bits)
    steps = [Op.LINEAR, Op.QUANTIZE_LOGIT, Op.PACK_BITS]
    plan = check(network, steps, monkeypatch)
    assert not any(is_integer(op) for op in ops(plan))
    assert plan.tensors[plan.steps[0].outputs[0]].name == "z"


def test_views_between(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = [
        node("Reshape", ["x", "image"], ["i"]), node("Sigmoid", ["i"], ["t"]),
        node("Flatten", ["t"], ["s"]),
    ]  # fmt: skip
    network = payload(*flat)
    network.graph.initializer.append(
        onnx.numpy_helper.from_array(np.array([0, 2, 3, 4], np.int64), "image")
    )
    check(network, [Op.QUANTIZE_LOGIT, Op.PACK_BITS], monkeypatch)


def test_where_the_sigmoid_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves the part, or something else reads it, or it is no sigmoid."""
    apart = [Op.LINEAR, Op.QUANTIZE_UNIFORM, Op.PACK_BITS]
    check(payload(LAYER, SIGMOID, outputs=("s",)), apart, monkeypatch)
    tanh = payload(LAYER, node("Tanh", ["z"], ["s"]))
    check(tanh, apart, monkeypatch)
    second = payload(LAYER, SIGMOID, node("Neg", ["s"], ["y"]), outputs=("y",))
    assert ops(compiled(second)).count(Op.QUANTIZE_UNIFORM) == 1


def test_the_band_is_that_of_the_sigmoid() -> None:
    network = payload(LAYER, SIGMOID)
    band = band_of(compiled(network))
    assert band is not None
    z = np.linspace(-30, 30, 100_001).astype(np.float32)
    s = 1 / (1 + np.exp(-z.astype(np.float64)))
    near = near_uniform(s, 4)
    np.testing.assert_array_equal(band.near(z), near)
    assert 0 < near.sum() < 200
    x = np.random.default_rng(1).normal(size=(4, 24)).astype(np.float32)
    exposed = Oracle(network.SerializeToString(), name="ue", expose=(band.tensor,)).run(x)
    assert exposed[band.tensor].shape == (4, 12)


@pytest.mark.parametrize("name", ["bacrnet10x", "bacrnet1x", "bacrnet10x-both"])
def test_codes_of_the_zoo(
    repository: Path, reference_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payloads of the field's own CSI are what they were with the sigmoid."""
    network = onnx.load(repository / "zoo" / name / "ue.onnx")
    plan = compile_model(network, part="ue", side="ue", n_max=64)
    assert ops(plan)[-2:] == [Op.QUANTIZE_LOGIT, Op.PACK_BITS]
    monkeypatch.setattr("csideploy.export.compile.PIPELINE", APART)
    apart = compile_model(network, part="ue", side="ue", n_max=64)
    assert Op.QUANTIZE_UNIFORM in ops(apart)
    h = np.load(reference_dir / "cost2100_indoor_reference.npz")["H"][::5].astype(np.float32)
    x = 0.5 + h / (2 * np.abs(h[:, 0] + 1j * h[:, 1]).max(axis=(1, 2)))[:, None, None, None]
    now, then = (Part(write_bundle(p)) for p in (plan, apart))
    for start in range(0, len(x), 64):
        ours, before = (part.run(x[start : start + 64].astype(np.float32)) for part in (now, then))
        for made, wanted in zip(ours, before, strict=True):
            np.testing.assert_array_equal(made, wanted)
    assert len(np.unique(ours[0])) > 4
