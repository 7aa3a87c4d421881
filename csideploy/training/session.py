"""Training from start to end: the function behind `csideploy train`."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from csideploy import registry
from csideploy.errors import InputError, OutputError
from csideploy.outputs import check_writable, reason
from csideploy.planning.results import read_results
from csideploy.systems.link import Link
from csideploy.training import checkpoint
from csideploy.training.budget import Budget
from csideploy.training.data import describe, read
from csideploy.training.devices import open_place
from csideploy.training.evaluate import measure
from csideploy.training.loop import Options, Run
from csideploy.training.progress import Progress
from csideploy.training.recipes import recipe as find_recipe
from csideploy.training.result_line import append_results, command_of
from csideploy.zoo import CARD


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
    minutes: float | None = None,
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
    reference: Path | None = None,
    results: Path | None = None,
    checkpoint_seconds: float = 60.0,
    validations: int = 20,
    quiet: bool = False,
) -> Result:
    """Train a link; see `csideploy.training.train`."""
    begun = time.monotonic()
    if minutes is not None:
        _check_minutes(minutes, epochs)
    if results is not None and test_data is None:
        raise InputError(f"--results {results}: give --test-data F, whose figures go there")
    spec = registry.get(system)
    if minutes is not None and spec.family == "pca":
        raise InputError(f"{spec.name} is computed, not trained: leave --minutes out")
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
    named += [
        (name, path)
        for name, path in (("--test-data", test_data), ("--reference", reference))
        if path is not None
    ]
    for name, path in named:
        if not path.is_file():
            raise InputError(f"{name} {path}: no such file")
    if results is not None:
        check_writable(results)
        if results.exists():
            read_results(results)
    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads {threads}: must be at least 1")
        torch.set_num_threads(threads)
    with open_place(device) as place:
        going_on = prepare_folder(out, resume=resume) if place.leads else resume
        if place.world > 1:
            torch.distributed.barrier()
            going_on = resume and (out / checkpoint.CHECKPOINT).is_file()
            if minutes is not None:
                raise InputError("--minutes is for one process: give --epochs under torchrun")
        if minutes is not None and going_on:
            chosen = chosen.scaled(_epochs_of(out / checkpoint.CHECKPOINT, minutes))
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
            if minutes is not None and not going_on:
                run.fit_budget(minutes, begun, progress)
            link = run.train(progress)
            metadata = run.metadata(run.options.recipe.stages[-1])
            if run.budget is not None:
                epochs = run.budget.epochs
            asked = {
                "recipe": recipe,
                "method": method,
                "epochs": epochs,
                "batch": batch,
                "rate": rate,
                "start-from": _portable(start_from),
                "length": None if length == 1 else length,
            }
            metadata["command"] = command_of(metadata, paths, out, asked)
            if place.leads:
                if test_data is not None:
                    progress.say(f"measuring on {test_data}")
                    metadata |= _measured(link.cpu(), test_data, budgets)
                    metadata["test_data"] = describe(test_data)
                if reference is not None:
                    progress.say(f"measuring on {reference}")
                    found = _measured(link.cpu(), reference, budgets)
                    metadata["reference"] = {**found, "data": describe(reference)}
                checkpoint.save_weights(out / checkpoint.WEIGHTS, link, metadata)
                if results is not None:
                    append_results(results, link, metadata, run.data.training_rows)
    return Result(out / checkpoint.WEIGHTS, metadata)


def _measured(link: Link, path: Path, budgets: tuple[int, ...]) -> dict[str, Any]:
    """Metrics of a link on a file, and of all its budgets where there are several."""
    found: dict[str, Any] = {"metrics": measure(link.at(link.bits), path)}
    if len(budgets) > 1:
        found["metrics_per_budget"] = {
            str(budget): measure(link.at(budget), path) for budget in budgets
        }
        link.at(link.bits)
    return found


def _portable(path: Path | None) -> Path | None:
    """As it stands in a command for others: no folders of this machine, as of --out."""
    if path is None or not path.is_absolute():
        return path
    if (path / CARD).is_file():
        return Path("zoo") / path.name
    return Path("runs") / (path.name if path.is_dir() else Path(path.parent.name, path.name))


def _check_minutes(minutes: float, epochs: float | None) -> None:
    if epochs is not None:
        raise InputError("--minutes and --epochs: give one of them")
    if not 0 < minutes < math.inf:
        raise InputError(f"--minutes {minutes}: must be a number above 0")


def _epochs_of(path: Path, minutes: float) -> float:
    """The epochs that the minutes of an interrupted run came to."""
    budget = Budget.of(checkpoint.read_checkpoint(path))
    if budget is None or budget.minutes != minutes:
        kept = "no --minutes" if budget is None else f"--minutes {budget.minutes:g}"
        raise InputError(f"{path}: that run has {kept}; repeat its options, or name another --out")
    return budget.epochs


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
