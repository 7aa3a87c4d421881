"""Sizes of a transceiver's parts by closed formula: parameters, and multiplications (MACs).

Parameters are the numbers stored: batch norm is folded into the layer before it, f_2 .. f_5 as they
are trained. MACs are those of the linear functions as we run them (f_2 on the mean over antennas,
once a user), of the attention, and of the anchor's solve left out, which is K^2 M and small.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from csideploy.transceiver.setup import Setup

Widths = Mapping[str, Any]
"""As `systems.rvq_egat.Widths` describes itself, and as it stands in weights and manifests."""

PAPER_WIDTHS: dict[str, Any] = {
    "extractor": [1024, 512, 256],
    "form": "edge",
    "start": [512, 128],
    "layers": 3,
    "end": 512,
    "alpha": 0.1,
    "beta": 0.1,
    "anchor": "none",
}
"""Paper 000, Section VI-C."""


def encoder(setup: Setup, widths: Widths) -> dict[str, int]:
    """MACs of a user, and parameters."""
    sizes = (2 * setup.pilots, *widths["extractor"], setup.feature)
    macs = sum(a * b for a, b in itertools.pairwise(sizes))
    return {"macs": macs, "parameters": macs + sum(sizes[1:])}


def quantizer(setup: Setup, tiers: tuple[int, ...] | None = None) -> dict[str, int]:
    """MACs of a user's scan over all codewords, and numbers of the codebooks; one region."""
    words = sum(1 << bits for bits in tiers or setup.tiers)
    return {"macs": words * setup.feature, "parameters": words * setup.feature}


def precoder(setup: Setup, widths: Widths, users: int) -> dict[str, int]:
    """MACs of a group of K users, and parameters, which no K changes."""
    edge, anchored = widths["form"] == "edge", widths["anchor"] == "rzf"
    places = setup.antennas if edge else 1
    hidden, state = widths["start"]
    piece = setup.feature // places
    outputs = 2 * setup.antennas // places
    extra = outputs if anchored else 0
    linear = [(piece + 1 + extra, hidden), (hidden, state)]
    end = [(state, widths["end"]), (widths["end"], outputs + anchored)]
    functions = 5 if edge else 4
    parameters = sum(a * b + b for a, b in (*linear, *end))
    parameters += widths["layers"] * functions * (state * state + state)
    # The SNR's column once a group, all else once a place.
    each = (piece + extra) * hidden + hidden * state + state * widths["end"]
    each += widths["end"] * outputs
    once = hidden
    layer = 4 * users * places * state**2 + 2 * users * (users - 1) * places * state
    layer += users * state**2 if edge else 0
    macs = users * places * each + once + widths["layers"] * layer
    if anchored:
        own = setup.feature // setup.antennas
        # The channel of each piece, each user's share of the loading, the gain.
        parameters += 2 * own + own + 2
        macs += users * (2 * own * setup.antennas + setup.feature + widths["end"]) + 1
    return {"macs": macs, "parameters": parameters}
