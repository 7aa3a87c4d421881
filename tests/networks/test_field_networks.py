"""The networks of the field, from both of torch's exporters, against ONNX Runtime.

Every part is exported by torch.export once and by the trace once, at opsets that change from part
to part, so that 13, 14, 17 and all of 18 to 25 are met. `python -m pytest tests/networks -s` prints
the errors.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("brevitas")

from csideploy.errors import UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.macs import costs, total
from csideploy.export.plan import Op
from csideploy.runtime import Part
from networks import catalogue, transnet
from networks.catalogue import NAMES, module, sample_shape, samples
from networks.judge import BATCHES, bound, judge, oracle
from networks.torch_files import DYNAMO, LEGACY, export

PARTS = [(name, "ue") for name in NAMES if name not in ("acrnet10x", "acrnet20x")]
PARTS += [(name, "bs") for name in NAMES]
"""The encoder does not depend on ACRNet's width."""


def opset(name: str, side: str, exporter: str) -> int:
    """An opset of the exporter's range, another one from part to part."""
    turn = PARTS.index((name, side))
    if exporter == DYNAMO:
        if name == "transnet":  # from opset 23 on attention is one operator
            return {"ue": 23, "bs": 21}[side]
        return range(18, 26)[turn % 8]
    # The trace can write attention from opset 14 on.
    return (14, 17)[turn % 2] if name == "transnet" else (13, 17)[turn % 2]


@functools.cache
def exported(name: str, side: str, exporter: str) -> Any:
    """One file a part and exporter for all tests."""
    version = opset(name, side, exporter)
    return export(
        module(name, side), sample_shape(name, side), exporter, version,
        keep_batch_norm=version < 17,
    )  # fmt: skip


SLOW = {
    ("csinet+", "ue"), ("csinet+", "bs"), ("crnet", "ue"), ("acrnet1x", "ue"), ("acrnet1x", "bs"),
    ("acrnet10x", "bs"), ("bcsinet-a2", "ue"), ("bcsinet-a2", "bs"), ("bcsinet-b3", "bs"),
    ("ds-nlcsinet", "bs"), ("fcn", "bs"), ("crnet", "bs"), ("csinet", "bs"),
}  # fmt: skip
"""torch.export takes a second or two a part; of these it makes the nodes that others have too."""

FILES = [(*part, LEGACY) for part in PARTS] + [
    pytest.param(*part, DYNAMO, marks=[pytest.mark.slow] if part in SLOW else []) for part in PARTS
]


@pytest.mark.parametrize(("name", "side", "exporter"), FILES)
def test_matches_onnx_runtime(name: str, side: str, exporter: str, errors: Any) -> None:
    model = exported(name, side, exporter)
    verdict = judge(model, samples(sample_shape(name, side), max(BATCHES)))
    errors[name, side, f"{exporter} {opset(name, side, exporter)}"] = verdict
    assert verdict.error <= 1


@pytest.mark.parametrize("name", ["csinet+", "transnet"])
def test_multiply_accumulates_are_the_papers(name: str) -> None:
    """24.57 M is published; 39.58 M is TransNet counted in full, attention included."""
    published = {"csinet+": 24_571_904, "transnet": 39_583_744}
    counted = 0
    for side in ("ue", "bs"):
        model = exported(name, side, LEGACY)
        verdict = judge(model, samples(sample_shape(name, side), 1), batches=(1,))
        counted += total(costs(verdict.plan)).macs
    assert counted == published[name]


def test_bcsinet_keeps_one_bit_a_weight() -> None:
    """Torch writes alpha sign(W) as arithmetic on the float weights."""
    plan = judge(exported("bcsinet-b3", "ue", LEGACY), samples(catalogue.CSI, 1), batches=(1,)).plan
    (layer,) = (step for step in plan.steps if step.op is Op.BINARY_LINEAR)
    assert layer.inputs[1] is not None
    assert plan.tensors[layer.inputs[1]].nbytes == catalogue.FEATURES * 2048 // 8


@pytest.mark.parametrize(
    ("name", "side", "exporter", "version"),
    [("clnet", "ue", LEGACY, 17), ("ds-nlcsinet", "bs", LEGACY, 13), ("csinet", "ue", DYNAMO, 21)],
)
def test_a_file_for_one_sample_runs_any_number(
    name: str, side: str, exporter: str, version: int
) -> None:
    """Exported with a batch of 1, its sizes are literal; the oracle is the file with a symbol."""
    made_for = sample_shape(name, side)
    model = export(module(name, side), made_for, exporter, version, dynamic=False)
    plan = compile_model(model, part="x", side=side, n_max=3)
    x = samples(sample_shape(name, side), 3)
    (expected,) = oracle(exported(name, side, LEGACY), x)
    (made,) = Part(write_bundle(plan)).run(x)
    np.testing.assert_allclose(made, expected, rtol=0, atol=bound(expected))


def test_attention_for_one_sample_keeps_its_shape(errors: Any) -> None:
    """Its sizes hold 1 x heads as one number: nothing says which part of it is the batch."""
    model = export(module("transnet", "ue"), catalogue.CSI, LEGACY, 17, dynamic=False)
    verdict = judge(model, samples(catalogue.CSI, 1), batches=(1,))
    errors["transnet", "ue", "static 17"] = verdict
    assert verdict.error <= 1


def test_batch_norms_reach_the_compiler_as_nodes() -> None:
    kinds = {node.op_type for node in exported("csinet", "bs", LEGACY).graph.node}
    assert ("BatchNormalization" in kinds) == (opset("csinet", "bs", LEGACY) < 17)
    assert any(
        node.op_type == "BatchNormalization"
        for name, side in PARTS
        for node in exported(name, side, LEGACY).graph.node
    )


@pytest.mark.parametrize("exporter", [DYNAMO, LEGACY])
@pytest.mark.parametrize("side", ["ue", "bs"])
def test_a_sample_does_not_depend_on_the_others(side: str, exporter: str) -> None:
    """TransNet's published code attends across the batch; ours must give each sample its own."""
    plan = compile_model(exported("transnet", side, exporter), part="x", side=side, n_max=4)
    part = Part(write_bundle(plan))
    x = samples(sample_shape("transnet", side), 5)
    (together,) = part.run(x)  # five samples on a part for four: one full run and a rest
    alone = np.concatenate([part.run(x[i : i + 1])[0] for i in range(len(x))])
    np.testing.assert_array_equal(together, alone)
    (swapped,) = part.run(x[::-1].copy())
    np.testing.assert_array_equal(swapped[::-1], together)


@pytest.mark.parametrize(
    ("exporter", "version"),
    [(DYNAMO, 23), (LEGACY, 17), pytest.param(DYNAMO, 18, marks=pytest.mark.slow)],
)
def test_attention_across_the_batch_is_refused_by_name(exporter: str, version: int) -> None:
    mixing = catalogue.randomise(transnet.Encoder(64, batch_first=False, hidden=128))
    model = export(mixing, catalogue.CSI, exporter, version)
    x = samples(catalogue.CSI, 3)
    (before,) = oracle(model, x)
    x[1:] = samples(catalogue.CSI, 2, seed=8)
    (after,) = oracle(model, x)
    # That the others reach the first sample; 1e-3 is far above rounding.
    assert np.abs(before[0] - after[0]).max() > 1e-3
    with pytest.raises(UnsupportedError) as refusal:
        compile_model(model, part="x", side="ue")
    # What an operator is made of, where ONNX defines it by others, is named "operator.part".
    place = str(refusal.value).split("'")[1]
    names = [node.name for node in model.graph.node]
    assert any(place == name or place.startswith(f"{name}.") for name in names)
