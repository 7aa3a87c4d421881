"""Sizes of a link as its paper counts them, beside those of the bundles that run.

A bundle has batch norm folded into its convolutions, a bias in the place of gamma and beta, and one
scale beside 1-bit weights. With C the outputs of all convolutions that had a batch norm,

    parameters of the paper = parameters of the fp32 bundle + C - scales

and MACs are the same; of a package in integers those of its network (`network_count`).
`tests/report/test_papers_count.py` holds that against the networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csideploy import registry

PARTS = {"ue": "encoder", "bs": "decoder"}


def papers_count(
    manifest: Mapping[str, Any], sides: Mapping[str, Any]
) -> dict[str, dict[str, int]] | None:
    """MACs and parameters of each side, by the closed formulas of the registry.

    Args:
        manifest: of a CSI feedback link.
        sides: of the report; the MACs of the network must be the paper's, or this is another one.

    Returns:
        By side `macs`, `parameters` (a 1-bit weight is one) and `parameters_packed` (it is 1/32);
        None for networks that are in no registry, or differ from it.
    """
    name = manifest["system"]
    if name not in registry.SYSTEMS or set(sides) != set(PARTS):
        return None
    spec, cr = registry.get(name), manifest["cr"]
    macs = registry.macs(spec, cr, manifest["binarize"])
    own = {side: data.get("network_macs", data["macs"]) for side, data in sides.items()}
    if any(own[side] != macs[part] for side, part in PARTS.items()):
        return None
    whole = registry.parameters(spec, cr, "none")
    packed = registry.parameters(spec, cr, manifest["binarize"])
    return {
        side: {
            "macs": macs[part],
            "parameters": whole[part],
            "parameters_packed": packed[part],
        }
        for side, part in PARTS.items()
    }


def lines(counted: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What the report says of it."""
    text = []
    for key, how in (
        ("parameters", "batch norm unfolded, no scales"),
        ("parameters_packed", "and a 1-bit weight as 1/32"),
    ):
        if key == "parameters" or any(own[key] != own["parameters"] for own in counted.values()):
            sizes = ", ".join(f"{side.upper()} {own[key]:,}" for side, own in counted.items())
            text.append(f"Parameters as the papers count them ({how}): {sizes}.")
    return text
