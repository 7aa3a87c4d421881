"""Quantizing: a trained link, or one network alone, from fp32 ONNX to QDQ ONNX.

A link is judged by its NMSE: each layer's 8 bits cost what they add to it. A network alone is
judged by what its output loses against its own float output, beside an error of a given level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from csideploy import metrics
from csideploy.calibration import Chunks, Pieces, trials
from csideploy.channels.conventions import from_input
from csideploy.export.functions import DOMAIN, QUANTIZERS
from csideploy.export.quantize.choose import Row, Study, noise_judge, settle
from csideploy.export.quantize.mixed import MixedStudy, settle_mixed
from csideploy.export.quantize.prepare import Network
from csideploy.export.quantize.sensitivity import cost_db
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.progress import Advance, quiet

ERROR_LEVEL_DB = -20.0
"""NMSE of CSI feedback at 1/4, about; `--error-level` says another."""


@dataclass(frozen=True)
class Quantized:
    """QDQ networks and how they came about.

    models: the bytes by side. rows: the table of dB against bits. loss_db: all of it together, on
    the calibration data the sweep ran on.
    """

    models: dict[str, bytes]
    rows: list[Row]
    loss_db: float

    def figures(self) -> dict[str, Any]:
        """For scripts and the manifest."""
        return {"loss_db": self.loss_db, "layers": [asdict(row) for row in self.rows]}


def quantize_link(
    ue: bytes,
    bs: bytes,
    x: Chunks,
    *,
    precision: str,
    seed: int,
    progress: Advance = quiet,
) -> Quantized:
    """Both ends of a link.

    Args:
        ue: fp32 ONNX file that takes x (n, 2, angle, delay).
        bs: fp32 ONNX file that makes h, like x.
        x: calibration inputs, in chunks.
        precision: "int8", "auto" or "mixed".
        seed: of the sample of values behind the ranges.
        progress: called with what is done and about what there is.
    """
    models = {"ue": onnx.load_model_from_string(ue), "bs": onnx.load_model_from_string(bs)}
    sent = "payload" if any(o.name == "payload" for o in models["ue"].graph.output) else "feature"
    encoder, decoder = Oracle(ue, name="ue.onnx"), Oracle(bs, name="bs.onnx")
    received = [encoder.run(part)[sent] for part in x]
    samples = [from_input(part) for part in x]
    tried = x[: trials(x)]
    seen = sum(len(part) for part in tried)
    ends = (("ue", x), ("bs", received))

    def judge_output(index: int, made: Arrays) -> float:
        return metrics.nmse(samples[index], from_input(made["h"]))

    def judge_sent(index: int, made: Arrays) -> float:
        return judge_output(index, decoder.run(made[sent]))

    def loss(pair: list[ModelProto]) -> float:
        written = [Oracle(model.SerializeToString(), name="the QDQ network") for model in pair]
        whole = float_whole = 0.0
        for index, part in enumerate(tried):
            made = written[1].run(written[0].run(part)[sent])
            whole += judge_output(index, made) * len(part) / seen
            float_whole += judge_sent(index, {sent: received[index]}) * len(part) / seen
        return cost_db(whole, float_whole)

    about: dict[str, Any] = {"trials": len(tried), "seed": seed}
    if precision == "mixed":
        # NMSE counts the square of a sample's error over the sample's power.
        about["importance"] = [
            (1.0 / np.maximum(np.sum(np.abs(h) ** 2, axis=(1, 2)), 1e-6)).astype(np.float32)
            for h in samples
        ]
        mixed = [MixedStudy(models[side], given, side=side, **about) for side, given in ends]
        return _mixed(mixed, lambda pair: loss(list(pair)), progress)
    studies = [Study(models[side], given, side=side, **about) for side, given in ends]
    advance = _counter(progress, studies, precision)
    if precision == "auto":
        studies[0].sweep([sent], judge_sent, advance=advance)
        studies[1].sweep(["h"], judge_output, advance=advance)
        written, lost = settle(studies, lambda pair: loss(list(pair)), advance=advance)
    else:
        written = [study.model(advance=advance) for study in studies]
        lost = loss(written)
    return Quantized(
        {
            side: model.SerializeToString()
            for side, model in zip(("ue", "bs"), written, strict=True)
        },
        [row for study in studies for row in study.rows()],
        lost,
    )


def quantize_part(
    model: ModelProto,
    x: Pieces,
    *,
    precision: str,
    seed: int,
    level_db: float = ERROR_LEVEL_DB,
    progress: Advance = quiet,
) -> Quantized:
    """One network alone; the bytes are under the side "".

    Args:
        model: fp32 ONNX; k, if it has one, is any number in a chunk.
        x: calibration inputs, in chunks; those of a network with several by name.
        precision: "int8", "auto" or "mixed".
        seed: of the sample of values behind the ranges.
        level_db: the error (NMSE) that the network makes anyway, which 8 bits are judged beside.
        progress: called with what is done and about what there is.
    """
    tried = x[: trials(x)]
    study: Study | MixedStudy
    if precision == "mixed":
        study = MixedStudy(model, x, trials=len(tried), seed=seed)
        network = study.exact
    else:
        study = Study(model, x, trials=len(tried), seed=seed)
        network = study.network
    wanted = _floats(network)
    oracle = Oracle(network.model.SerializeToString(), name="the network", expose=wanted)
    expected = [{name: oracle.run(part)[name] for name in wanted} for part in tried]
    judge = noise_judge(expected, level_db)

    def loss(written: ModelProto) -> float:
        made = Oracle(written.SerializeToString(), name="the QDQ network", expose=wanted)
        error = np.mean([judge(i, made.run(part)) for i, part in enumerate(tried)])
        return cost_db(float(error), 10.0 ** (level_db / 10.0))

    if isinstance(study, MixedStudy):
        return _mixed([study], lambda models: loss(models[0]), progress)
    advance = _counter(progress, [study], precision)
    if precision == "auto":
        study.sweep(wanted, judge, advance=advance)
        (written,), lost = settle([study], lambda models: loss(models[0]), advance=advance)
    else:
        written = study.model(advance=advance)
        lost = loss(written)
    return Quantized({"": written.SerializeToString()}, study.rows(), lost)


def _mixed(
    studies: list[MixedStudy],
    measure: Callable[[Sequence[ModelProto]], float],
    progress: Advance,
) -> Quantized:
    """Integers where the work is. The bar counts layers, nearly."""
    layers = sum(len(study.layers) for study in studies)
    total, done = 4 * layers + 1, 0

    def advance() -> None:
        nonlocal done
        done = min(done + 1, total - 1)
        progress(done, total)

    written, lost = settle_mixed(studies, measure, advance=advance)
    return Quantized(
        {
            study.side: model.SerializeToString()
            for study, model in zip(studies, written, strict=True)
        },
        [row for study in studies for row in study.rows()],
        lost,
    )


def _floats(network: Network) -> tuple[str, ...]:
    """What to judge a part by: its float outputs, or what goes into the payload's quantizer."""
    wanted = []
    for name in network.outputs:
        if network.types.get(name) == np.float32:
            wanted.append(name)
    for node in network.model.graph.node:
        if node.domain == DOMAIN and node.op_type in QUANTIZERS:
            wanted.append(node.input[0])
    return tuple(dict.fromkeys(wanted))


def _counter(progress: Advance, studies: list[Study], precision: str) -> Callable[[], None]:
    """Counts steps; the sweep's number is known nearly, so that the bar never runs over."""
    sweeps = sum(study.trials_ahead() for study in studies) if precision == "auto" else 0
    layers = sum(len(study.points) for study in studies)
    total, done = sweeps + layers, 0

    def advance() -> None:
        nonlocal done
        done = min(done + 1, total - 1)
        progress(done, total)

    return advance
