"""Networks that brevitas has trained for few bits: its QCDQ files, and 1-bit ones through QONNX."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("brevitas")
pytest.importorskip("onnxoptimizer")

from csideploy.cli import app
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import Op, Plan
from csideploy.runtime import Part
from networks import qonnx_oracle, quantized
from networks.catalogue import samples
from networks.judge import bound, judge
from networks.quantized import ELEMENTS, FEATURES, SHAPE, TIE

EXPORTERS = pytest.mark.parametrize("dynamo", [False, True], ids=["legacy", "dynamo"])


@functools.cache
def exported(standard: str, bits: int, binary: bool, dynamo: bool) -> Any:
    return quantized.export(quantized.network(bits, binary=binary), standard, dynamo=dynamo)


SLOW = pytest.mark.slow
"""torch.export takes seconds a file; one of each kind is exported by default."""


@pytest.mark.parametrize(
    ("bits", "dynamo"),
    [
        (8, False),
        (4, False),
        (2, False),
        (4, True),
        pytest.param(8, True, marks=SLOW),
        pytest.param(2, True, marks=SLOW),
    ],
)
def test_qcdq_matches_onnx_runtime(bits: int, dynamo: bool, errors: Any) -> None:
    model = exported("qcdq", bits, False, dynamo)
    x = samples(SHAPE, 3, seed=23)
    assert quantized.distance_to_a_tie(model, x) > TIE, "these samples show nothing"
    verdict = judge(model, x)
    errors[f"brevitas {bits} bits", "ue", f"qcdq {'dynamo' if dynamo else 'legacy'}"] = verdict
    assert verdict.error <= 1


def test_integer_biases_make_an_integer_network(errors: Any) -> None:
    """Only the trace can write them: brevitas has no quantized bias for torch.export."""
    model = quantized.export(quantized.integer_network(), "qcdq", dynamo=False)
    x = samples(SHAPE, 3, seed=26)
    assert quantized.distance_to_a_tie(model, x) > TIE, "these samples show nothing"
    verdict = judge(model, x)
    errors["brevitas integer", "ue", "qcdq legacy"] = verdict
    assert verdict.error == 0
    made = [step.op for step in verdict.plan.steps]
    assert made == [Op.QUANTIZE, Op.QCONV2D, Op.QLINEAR, Op.DEQUANTIZE]


@pytest.mark.parametrize(
    ("bits", "binary", "dynamo"),
    [
        (8, True, False),
        (8, True, True),
        (4, False, False),
        pytest.param(4, False, True, marks=SLOW),
    ],
)
def test_qonnx_matches_its_formulas_in_float64(bits: int, binary: bool, dynamo: bool) -> None:
    model = exported("qonnx", bits, binary, dynamo)
    x = samples(SHAPE, 3, seed=23)
    part = Part(write_bundle(compile_model(model, part="encoder", side="ue", n_max=3)))
    expected = qonnx_oracle.run(model, x)
    assert qonnx_oracle.Quant.nearest > TIE, "these samples show nothing"
    for count in (1, 3):
        (made,) = part.run(x[:count])
        np.testing.assert_allclose(made, expected[:count], rtol=0, atol=bound(expected))


@pytest.mark.parametrize(("bits", "binary"), [(8, True), (4, False)], ids=["binary", "4 bits"])
def test_the_verbs_take_a_qonnx_file(bits: int, binary: bool, tmp_path: Path) -> None:
    """ONNX Runtime knows no QONNX; here it makes the golden vectors, and is what is compared with.

    Float layers between quantizers: without brevitas' bias quantizer nothing else is possible.
    """
    onnx.save(exported("qonnx", bits, binary, False), tmp_path / "q.onnx")
    for arguments in (["compile"], ["validate", str(tmp_path / "q.csib"), "--onnx"]):
        result = CliRunner().invoke(app, [*arguments, str(tmp_path / "q.onnx"), "--json"])
        assert result.exit_code == 0, result.output
    checks = {check["name"]: check["holds"] for check in json.loads(result.stdout)["checks"]}
    assert checks["ONNX Runtime: output y"]
    assert checks["golden vectors: output y"]


@EXPORTERS
def test_binary_weights_stay_one_bit_each(dynamo: bool) -> None:
    plan = compile_model(exported("qonnx", 8, True, dynamo), part="encoder", side="ue")
    (layer,) = (step for step in plan.steps if step.op in (Op.BINARY_LINEAR, Op.QBINARY_LINEAR))
    assert _stored(plan, layer.inputs[1]) == FEATURES * ELEMENTS // 8
    assert not any(step.op in (Op.LINEAR, Op.QLINEAR) for step in plan.steps)
    # Bits, one scale, 64 biases, and a convolution of 36 weights: nothing of the float matrix.
    assert len(plan.weights) < FEATURES * ELEMENTS // 8 + 4 * FEATURES + 1024
    assert 32 * _stored(plan, layer.inputs[1]) == 4 * FEATURES * ELEMENTS


def _stored(plan: Plan, index: int | None) -> int:
    assert index is not None
    return plan.tensors[index].nbytes
