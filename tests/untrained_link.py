"""A link with untrained weights, through the real path from torch."""

from typing import Any

import pytest

from csideploy.link_source import LinkSource
from csideploy.registry import features


def untrained(
    system: str,
    *,
    cr: int,
    bits: int,
    seed: int,
    binarize: str,
    move_norms: bool = False,
    provenance: dict[str, Any],
    metrics: dict[str, Any],
) -> LinkSource:
    """Random weights; with `move_norms` batch norm is away from the identity."""
    torch = pytest.importorskip("torch", reason="weights of the test link come from torch")
    from csideploy.export.torch_onnx import export_part
    from csideploy.systems import build

    torch.manual_seed(seed)
    link = build(system, cr=cr, bits=bits)
    for module in link.modules():
        if move_norms and isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    parts = {"ue": link.encoder, "bs": link.decoder}
    files = {
        side: export_part(part, side, bits=bits, features=features(cr)).SerializeToString()
        for side, part in parts.items()
    }
    return LinkSource(
        system=system,
        cr=cr,
        bits=bits,
        binarize=binarize,
        ue=files["ue"],
        bs=files["bs"],
        scenario="indoor",
        provenance=provenance,
        metrics=metrics,
    )
