"""What a table's form costs in rate, before the table is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from csideploy.downlink.channels import observe, rayleigh
from csideploy.downlink.forms import Form
from csideploy.downlink.rate import user_rates
from csideploy.downlink.source import PrecoderSource, as_complex
from csideploy.downlink.tables import restored, stored
from csideploy.onnx_oracle import Oracle

SAMPLES = 4000


def rate_costs(
    source: PrecoderSource, forms: Sequence[Form], *, seed: int, samples: int = SAMPLES
) -> dict[str, dict[str, Any]]:
    """Sum rate lost by each form, on the same channels, pilots and payloads.

    Sorted or not makes no difference where it is allowed, so that each pair is measured once.

    Args:
        source: the precoder.
        forms: to measure.
        seed: of channels and noise.
        samples: how many.

    Returns:
        By form: `rate`, `loss` and `loss_interval` (95 %, of paired differences), bit/s/Hz.
    """
    setup = source.setup
    rng = np.random.default_rng([seed, 4])
    h = rayleigh(setup, samples, rng)
    y = observe(setup, h, source.pilots, rng)
    receiver = Oracle(source.ue, name="ue.onnx", threads=0)
    payload = receiver.run(y.reshape(-1, *y.shape[2:]))["payload"]
    v = source.transmitter(exact=False)(payload.reshape(samples, setup.users, -1))
    whole = user_rates(h, as_complex(v.astype(np.float64)), source.power).sum(axis=1)
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    found = {}
    for form in forms:
        key = (form.columns, form.values)
        if key not in seen:
            rows = stored(v, form, per_user=source.per_user)
            made = restored(rows, setup, form, per_user=source.per_user)
            rates = user_rates(h, as_complex(made), source.power).sum(axis=1)
            lost = whole - rates
            half = 1.96 * lost.std() / np.sqrt(samples)
            seen[key] = {
                "rate": float(rates.mean()),
                "loss": float(lost.mean()),
                "loss_interval": [float(lost.mean() - half), float(lost.mean() + half)],
            }
        found[str(form)] = seen[key]
    return found
