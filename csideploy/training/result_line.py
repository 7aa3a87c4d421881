"""A finished run as lines of a result file (`planning.results`), and what repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from csideploy.planning.results import ResultLine, append
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.systems.link import Link

_FIGURES = ("nmse_db", "sgcs", "rho")


def command_of(
    metadata: Mapping[str, Any], data: Sequence[Path], out: Path, options: Mapping[str, Any]
) -> str:
    """What gives these weights again: the data, if it was generated here, then the training.

    Args:
        metadata: of the weights.
        data: the files trained on, in order; they are named without their folders.
        out: the run's folder; if its path is absolute, the command has `runs/` and its name.
        options: of `csideploy train` besides, by name; those that are None are left out.
    """
    described = metadata["data"].get("files") or [metadata["data"]]
    made = [_generation(one, path) for one, path in zip(described, data, strict=True)]
    training = metadata["training"]
    words = ["csideploy", "train", str(metadata["system"])]
    for path in data:
        words += ["--data", path.name]
    budgets = metadata["feature"]["budgets"] or [metadata["bits"] or "float"]
    options = {
        "cr": metadata["cr"],
        "bits": ",".join(map(str, budgets)),
        "binarize": metadata["binarize"],
        **options,
        "seed": metadata["seed"],
        "device": training["device"].partition(":")[0],
        "threads": training["threads"] if training["device"] == "cpu" else None,
        "out": Path("runs") / out.name if out.is_absolute() else out,
    }
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", str(value)]
    return " && ".join([*filter(None, made), shlex.join(words)])


def _generation(described: Mapping[str, Any], path: Path) -> str | None:
    if described["scenario"] == "unknown" or described["seed"] is None:
        return None
    words = ["csideploy", "data", "generate", "--scenario", described["scenario"]]
    words += ["--samples", str(described["samples"]), "--seed", str(described["seed"])]
    if "subcarriers" in described:
        words += ["--subcarriers", str(described["subcarriers"])]
    return shlex.join([*words, "--out", path.name])


def lines_of(link: Link, metadata: Mapping[str, Any], samples: int) -> list[ResultLine]:
    """A line for every budget that was measured.

    Args:
        link: the trained one.
        metadata: of its weights, with metrics and the command; `reference` if it was measured.
        samples: trained on.
    """
    budgets = metadata["feature"]["budgets"] or [metadata["bits"]]
    return [_line(link, metadata, samples, bits) for bits in budgets]


def _line(link: Link, metadata: Mapping[str, Any], samples: int, bits: int | None) -> ResultLine:
    several = len(metadata["feature"]["budgets"]) > 1

    def figures(about: Mapping[str, Any]) -> dict[str, float]:
        found = about["metrics_per_budget"][str(bits)] if several else about["metrics"]
        return {name: found[name] for name in _FIGURES}

    recipe, training = metadata["recipe"], metadata["training"]
    line: dict[str, Any] = {
        **{name: metadata[name] for name in ("system", "cr", "binarize")},
        "bits": bits,
        "quantizer": metadata["feature"]["quantizer"] if bits is not None else "uniform",
        **figures(metadata),
        "test": _test_set(metadata["test_data"]),
        "train": {
            "samples": samples,
            "epochs": sum(stage["epochs"] for stage in recipe["stages"]),
            "recipe": recipe["name"],
            "seed": metadata["seed"],
            "minutes": training["minutes"],
            "device": training["device"].partition(":")[0],
            "data_sha256": metadata["data"]["sha256"],
        },
        "command": metadata["command"],
    }
    if isinstance(link.quantizer, CodebookQuantizer):
        assert bits is not None
        line["payload_bits"] = int(link.quantizer.widths(bits).sum())
    if "reference" in metadata:
        about = metadata["reference"]
        line["reference"] = {**figures(about), "test": _test_set(about["data"])}
    return ResultLine.model_validate(line)


def _test_set(described: Mapping[str, Any]) -> dict[str, Any]:
    return {name: described[name] for name in ("scenario", "samples", "seed", "sha256")}


def append_results(path: Path, link: Link, metadata: Mapping[str, Any], samples: int) -> None:
    """Put the run's lines at the end of a result file; arguments as of `lines_of`.

    Raises:
        InputError: the file is no result file. OutputError: it cannot be written.
    """
    for line in lines_of(link, metadata, samples):
        append(path, line)
