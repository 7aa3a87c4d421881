"""The light street canyon for panels beside Sionna's: spreads, and what a codebook makes of both.

    python benchmarks/panel_agreement.py --samples 1000

Sionna's model (V16.1 of TR 38.901) correlates large-scale parameters, splits the strongest clusters
and has users in the same sector, at the same heights; path loss and shadowing are switched off.
Needs `pip install "csideploy[sionna]"`.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from csideploy.channels.panel_file import PanelChannels, draw_panel
from csideploy.channels.umi_panel import (
    FARTHEST_M,
    SECTOR_DEG,
    SUBBAND_HZ,
    SUBBANDS,
    Panel,
)
from csideploy.channels.umi_parameters import (
    CARRIER_GHZ,
    NEAREST_M,
    SITE_HEIGHT_M,
    USER_HEIGHT_M,
)
from csideploy.directions import cosines, eigenvectors
from csideploy.evaluate_panel import evaluate_panel

STEP = 50
"""Users at once: Sionna keeps every ray between all antennas."""
Channels = NDArray[np.complex64]


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--panel", type=Panel.parse, default=Panel())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def sionna_channels(panel: Panel, samples: int, seed: int) -> Channels:
    """(samples, 13, 4, ports), scaled and numbered as those of `draw_panel`."""
    import torch
    from sionna.phy.channel import tr38901

    common = {
        "polarization": "dual",
        "carrier_frequency": CARRIER_GHZ * 1e9,
        "precision": "single",
        "device": "cpu",
    }
    gnb = tr38901.PanelArray(
        num_rows_per_panel=panel.n2,
        num_cols_per_panel=panel.n1,
        polarization_type="cross",
        antenna_pattern="38.901",
        **common,
    )
    user = tr38901.PanelArray(
        num_rows_per_panel=1,
        num_cols_per_panel=2,
        polarization_type="VH",
        antenna_pattern="omni",
        **common,
    )
    model = tr38901.UMi(
        carrier_frequency=CARRIER_GHZ * 1e9,
        o2i_model="low",
        ut_array=user,
        bs_array=gnb,
        direction="downlink",
        spec_version="16.1",
        precision="single",
        device="cpu",
        enable_pathloss=False,
        enable_shadow_fading=False,
    )
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    offsets = SUBBAND_HZ * (np.arange(SUBBANDS) - (SUBBANDS - 1) / 2)
    places = np.asarray(gnb.ant_pos)
    order = np.concatenate(
        [
            own[np.lexsort((places[own, 2].round(4), places[own, 1].round(4)))]
            for own in (np.asarray(gnb.ant_ind_pol1), np.asarray(gnb.ant_ind_pol2))
        ]
    )
    made = []
    for _ in track(range(-(-samples // STEP)), "Sionna", console=Console(stderr=True)):
        flat = np.sqrt(rng.uniform(NEAREST_M**2, FARTHEST_M**2, STEP))
        bearing = np.deg2rad(rng.uniform(-SECTOR_DEG / 2, SECTOR_DEG / 2, STEP))
        at = np.stack([flat * np.cos(bearing), flat * np.sin(bearing)], axis=1)
        heights = np.full((STEP, 1), USER_HEIGHT_M)
        turned = np.zeros((STEP, 1, 3))
        turned[:, 0, 0] = rng.uniform(0, 2 * np.pi, STEP)
        topology = {
            "ut_loc": np.concatenate([at, heights], axis=1)[:, None],
            "bs_loc": np.tile([0.0, 0.0, SITE_HEIGHT_M], (STEP, 1, 1)),
            "ut_orientations": turned,
            "bs_orientations": np.zeros((STEP, 1, 3)),
            "ut_velocities": np.zeros((STEP, 1, 3)),
        }
        with torch.no_grad():
            model.set_topology(
                **{name: torch.tensor(x, dtype=torch.float32) for name, x in topology.items()},
                in_state=torch.zeros((STEP, 1), dtype=torch.bool),
            )
            gain, delay = model(1, 1.0)
        turns = np.exp(-2j * np.pi * offsets[:, None] * delay.numpy()[:, 0, 0][:, None, :])
        made.append(np.einsum("brsp,bfp->bfrs", gain.numpy()[:, 0, :, 0, :, :, 0], turns))
    h = np.concatenate(made)[:samples, ..., order]
    h /= np.sqrt(np.mean(np.abs(h) ** 2, axis=(1, 2, 3), keepdims=True))
    return h.astype(np.complex64)


def figures(h: Channels, panel: Panel, seed: int) -> dict[str, float]:
    """What bears on feedback."""
    values = np.linalg.svd(h, compute_uv=False).astype(np.float64) ** 2
    shares = (values / values.sum(axis=-1, keepdims=True)).mean(axis=(0, 1))
    v = eigenvectors(h)
    waves = np.fft.fft2(h.reshape(len(h), -1, panel.n1, panel.n2))
    power = np.sum(np.abs(waves) ** 2, axis=1).reshape(len(h), -1)
    power = np.sort(power / power.sum(axis=1, keepdims=True), axis=1)[:, ::-1].cumsum(axis=1)
    found = {f"eigenvalue {k + 1}, share": float(share) for k, share in enumerate(shares)}
    found["SGCS of neighbouring sub-bands"] = float(cosines(v[:, :, 1:], v[:, :, :-1]).mean())
    found["beams with 90 % of the power"] = float((power < 0.9).sum(axis=1).mean() + 1)
    rows = evaluate_panel(["etype2"], data=PanelChannels(h, panel, ""), seed=seed)["rows"]
    return found | {f"SGCS, eType II, PC {row['combination']}": row["sgcs"] for row in rows}


def main() -> None:
    """Draw both, compare, print."""
    options = arguments()
    light = draw_panel(options.panel, 4, options.samples, seed=options.seed).h
    full = sionna_channels(options.panel, options.samples, options.seed)
    found = [figures(h, options.panel, options.seed) for h in (light, full)]
    if options.json:
        print(json.dumps({"light": found[0], "sionna": found[1]}, indent=2))
        return
    table = Table(title=f"{options.samples} users, panel {options.panel}")
    for heading in ("", "light", "Sionna"):
        table.add_column(heading, justify="right" if heading else "left")
    for name in found[0]:
        table.add_row(name, *(f"{one[name]:.4f}" for one in found))
    Console().print(table)


if __name__ == "__main__":
    main()
