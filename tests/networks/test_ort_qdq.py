"""A file that ONNX Runtime's own quantizer has written: CsiNet's encoder as QDQ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

pytest.importorskip("torch")
pytest.importorskip("brevitas")

from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from networks import quantized
from networks.catalogue import CSI, module, samples
from networks.judge import judge
from networks.torch_files import LEGACY, export


class Calibration(CalibrationDataReader):
    """Eight seeded samples."""

    def __init__(self) -> None:
        self.batches = iter([{"x": samples(CSI, 1, seed)} for seed in range(8)])

    def get_next(self) -> Any:
        return next(self.batches, None)


@pytest.mark.parametrize("activations", [QuantType.QInt8, QuantType.QUInt8])
def test_quantized_csinet_matches_onnx_runtime(
    activations: QuantType, tmp_path: Path, errors: Any
) -> None:
    source, made = tmp_path / "fp32.onnx", tmp_path / "qdq.onnx"
    onnx.save(export(module("csinet", "ue"), CSI, LEGACY, 17), source)
    quantize_static(
        source,
        made,
        Calibration(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=activations,
        weight_type=QuantType.QInt8,
    )
    model = onnx.load(made)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}
    x = samples(CSI, 3, seed=42)
    assert quantized.distance_to_a_tie(model, x) > quantized.TIE, "these samples show nothing"
    verdict = judge(model, x)
    errors["csinet int8", "ue", f"ORT {activations.name}"] = verdict
    assert verdict.error <= 1
