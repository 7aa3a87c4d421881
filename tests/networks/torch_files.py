"""torch -> ONNX by each of torch's two exporters, with nothing of ours in between."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import onnx
import torch
from onnx import ModelProto
from torch import nn
from torch.onnx import TrainingMode

DYNAMO = "dynamo"
LEGACY = "legacy"


def export(
    module: nn.Module,
    shape: tuple[int, ...],
    exporter: str,
    opset: int,
    *,
    dynamic: bool = True,
    keep_batch_norm: bool = False,
) -> ModelProto:
    """One input "x" and one output "y"; the batch symbolic if `dynamic`, else 1.

    Args:
        module: in evaluation mode.
        shape: of one sample.
        exporter: DYNAMO (torch.export) or LEGACY (TorchScript's trace).
        opset: of the file; what comes back is asserted to have it.
        dynamic: the batch is a symbol.
        keep_batch_norm: LEGACY only: batch norms stay nodes of their own; both exporters fold
            those behind a convolution into it otherwise.
    """
    # Three samples: an exporter that freezes the batch is found out by a run with another number.
    example = torch.rand((3 if dynamic else 1, *shape), generator=torch.Generator().manual_seed(5))
    file = io.BytesIO()
    # Fused attention of the evaluation mode is one operator of torch's own, which ONNX lacks.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with _quiet():
            if exporter == LEGACY:
                torch.onnx.export(
                    module, (example,), file, dynamo=False, opset_version=opset,
                    input_names=["x"], output_names=["y"],
                    training=TrainingMode.PRESERVE if keep_batch_norm else TrainingMode.EVAL,
                    dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}} if dynamic else None,
                )  # fmt: skip
            else:
                torch.onnx.export(
                    module, (example,), file, dynamo=True, opset_version=opset,
                    input_names=["x"], output_names=["y"], external_data=False, verbose=False,
                    dynamic_shapes=({0: torch.export.Dim("batch")},) if dynamic else None,
                )  # fmt: skip
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    model = onnx.load_from_string(file.getvalue())
    (version,) = (entry.version for entry in model.opset_import if entry.domain == "")
    assert version == opset, f"{exporter} wrote opset {version} where {opset} was asked for"
    return model


@contextlib.contextmanager
def _quiet():
    """Without the exporters' words on torchvision, deprecation and progress."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
