"""Training from start to end: the function behind `csideploy train`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from csideploy import registry
from csideploy.errors import InputError, OutputError
from csideploy.outputs import reason
from csideploy.training import checkpoint
from csideploy.training.data import describe, read
from csideploy.training.devices import open_place
from csideploy.training.evaluate import measure
from csideploy.training.loop import Options, Run
from csideploy.training.progress import Progress
from csideploy.training.recipes import recipe as find_recipe


@dataclass(frozen=True)
class Result:
    """A finished run: its weights file and what stands in that file's metadata."""

    weights: Path
    metadata: dict[str, Any]


def train(
    system: str,
    *,
    data: Path | Sequence[Path] | None,
    out: Path,
    cr: int = 4,
    bits: int | None = 4,
    binarize: str | None = None,
    epochs: float | None = None,
    recipe: str = "paper-002",
    batch: int | None = None,
    method: str | None = None,
    rate: float | None = None,
    start_from: Path | None = None,
    length: int = 1,
    budgets: tuple[int, ...] = (),
    device: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    resume: bool = False,
    test_data: Path | None = None,
    checkpoint_seconds: float = 60.0,
    validations: int = 20,
    quiet: bool = False,
) -> Result:
    """Train a link; see `csideploy.training.train`."""
    spec = registry.get(system)
    cr, bits, binarize = registry.check_options(spec, cr, bits, binarize)
    chosen = find_recipe(
        recipe,
        spec,
        binarize=binarize,
        epochs=epochs,
        batch=batch,
        method=method,
        rate=rate,
        from_weights=start_from is not None,
    )
    if method == "float":
        bits = None
    if budgets and chosen.quantizer != "codebook":
        raise InputError(
            f"several bit budgets go with codebooks; recipe {chosen.name} has the quantizer "
            f"{chosen.quantizer}: give one number of bits, or another --method"
        )
    if length != 1 and chosen.quantizer != "vector":
        raise InputError(f"--length {length} goes with --method vector, not with {chosen.name}")
    feature = registry.Feature(chosen.quantizer, length, budgets)
    paths: list[Path] = []
    if data is not None:
        paths = [data] if isinstance(data, Path) else list(data)
    if not paths:
        raise InputError(
            "no training data: give --data F; `csideploy data generate --scenario indoor "
            "--samples 100000 --seed 1 --out F.npz` makes it"
        )
    named = [("--data", path) for path in paths]
    if test_data is not None:
        named.append(("--test-data", test_data))
    for name, path in named:
        if not path.is_file():
            raise InputError(f"{name} {path}: no such file")
    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads {threads}: must be at least 1")
        torch.set_num_threads(threads)
    with open_place(device) as place:
        going_on = prepare_folder(out, resume=resume) if place.leads else resume
        if place.world > 1:
            torch.distributed.barrier()
            going_on = resume and (out / checkpoint.CHECKPOINT).is_file()
        run = Run(
            Options(spec, cr, bits, binarize, chosen, seed, feature, start_from),
            read(paths, place.device),
            place,
            out,
            checkpoint_seconds=checkpoint_seconds,
            validations=validations,
        )
        if going_on:
            run.resume()
        with Progress(out / "log" if place.leads else None, quiet=quiet) as progress:
            link = run.train(progress)
            metadata = run.metadata(chosen.stages[-1])
            if place.leads:
                if test_data is not None:
                    progress.say(f"measuring on {test_data}")
                    metadata["metrics"] = measure(link.cpu(), test_data)
                    if len(budgets) > 1:
                        metadata["metrics_per_budget"] = {
                            str(budget): measure(link.at(budget), test_data) for budget in budgets
                        }
                        link.at(bits)
                    metadata["test_data"] = describe(test_data)
                checkpoint.save_weights(out / checkpoint.WEIGHTS, link, metadata)
    return Result(out / checkpoint.WEIGHTS, metadata)


def prepare_folder(out: Path, *, resume: bool, resumable: bool = True) -> bool:
    """Make the run's folder; whether there is a checkpoint to go on from."""
    state = out / checkpoint.CHECKPOINT
    if resume:
        if not out.is_dir():
            raise InputError(f"--resume: no run in {out}; leave --resume out to begin one")
        return state.is_file()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        way = "give --resume to go on, or another --out" if resumable else "name another --out"
        raise OutputError(f"{out} exists already: {way}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.disk_usage(out)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {reason(error)}") from error
    return False
