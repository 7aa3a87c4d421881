"""Keras networks as tf2onnx writes them, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import pytest
from onnx import ModelProto

pytest.importorskip("torch")  # `samples` lives beside the torch networks

from csideploy.export.plan import Op
from networks import tf2onnx_forms
from networks.catalogue import samples
from networks.judge import judge

FORMS = {
    "encoder": (tf2onnx_forms.encoder, (32, 32, 2)),
    "decoder": (tf2onnx_forms.decoder, (64,)),
    "attention": (tf2onnx_forms.attention, (16, 16, 2)),
}


@pytest.mark.parametrize("name", FORMS)
def test_matches_onnx_runtime(name: str, errors: Any) -> None:
    make, shape = FORMS[name]
    model = _checked(make)
    verdict = judge(model, samples(shape, 3))
    errors[f"keras {name}", "ue", "tf2onnx"] = verdict
    assert verdict.error <= 1


def test_names_survive_and_batch_norm_costs_nothing() -> None:
    make, shape = FORMS["encoder"]
    plan = judge(_checked(make), samples(shape, 1), batches=(1,)).plan
    assert any(step.name.startswith("model/conv2d/BiasAdd") for step in plan.steps)
    kinds = [step.op for step in plan.steps]
    # Mul and Add by channel are folded into the convolution in front.
    assert kinds.count(Op.CONV2D) == 1
    assert Op.BINARY not in kinds
    assert Op.ADD not in kinds


def _checked(make: Callable[[], ModelProto]) -> ModelProto:
    model = make()
    onnx.checker.check_model(model, full_check=True)
    return model
