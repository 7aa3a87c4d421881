"""Generated samples on disk: parts that survive an interruption, then one .npz file."""

import dataclasses
import json
import math
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from csideploy.channels.blocks import block_rows, scenario_on
from csideploy.channels.parameters import SCENARIOS
from csideploy.channels.synthesis import SUBCARRIERS
from csideploy.errors import OutputError
from csideploy.outputs import file_aside, reason

GENERATOR_VERSION = 1
"""Goes up when the same seed gives other samples."""

_ARRAYS = ("H", "sample_absmax", "ue_xy")


def describe_run(scenario: str, samples: int, seed: int, *, subcarriers: int = SUBCARRIERS) -> str:
    """All that the samples depend on, as JSON.

    The number of subcarriers is named where it is not the field's 257, so that files and unfinished
    runs on the field's grid are what they were before there were others.
    """
    parameters: dict[str, Any] = {}
    if scenario in SCENARIOS:
        parameters = dataclasses.asdict(scenario_on(scenario, subcarriers))
    settings: dict[str, Any] = {
        "generator_version": GENERATOR_VERSION,
        "scenario": scenario,
        "samples": samples,
        "seed": seed,
        "samples_per_environment": block_rows(scenario),
        "parameters": {
            # JSON has no infinity.
            name: None if value == math.inf else value
            for name, value in parameters.items()
        },
    }
    if subcarriers != SUBCARRIERS:
        settings["subcarriers"] = subcarriers
    return json.dumps(settings, sort_keys=True)


def subcarriers_of(settings: str) -> int | None:
    """Of the `parameters` of a generated file: points of the grid; None where there is none."""
    try:
        found = json.loads(settings)
        if found["scenario"] not in SCENARIOS:
            return None
        return int(found.get("subcarriers", SUBCARRIERS))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class PartFolder:
    """The hidden folder beside the file to be, with one .npz per finished part.

    A part holds the arrays `names` of what is stored.
    """

    names: tuple[str, ...] = _ARRAYS

    def __init__(self, path: Path, settings: str, *, count: int) -> None:
        self.path = path
        self.settings = settings
        self.count = count
        self.folder = path.parent / f".{path.name}.parts"

    def is_finished(self) -> bool:
        """True when the file is there, made with the same settings.

        Raises:
            OutputError: something else stands under its name.
        """
        if not self.path.exists():
            return False
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                same = str(archive["parameters"]) == self.settings
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
            same = False
        if not same:
            raise OutputError(
                f"{self.path} exists and holds something else: delete it, or name another file"
            )
        return True

    def open(self) -> None:
        """Makes the folder, or takes up the one that an interrupted run of this kind left.

        Raises:
            OutputError: it cannot be made, or belongs to a run with other settings.
        """
        note = self.folder / "settings.json"
        try:
            self.folder.mkdir(exist_ok=True)
            if not note.exists():
                with file_aside(note) as stream:
                    stream.write(self.settings.encode())
            found = note.read_text()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {reason(error)}") from error
        if found != self.settings:
            raise OutputError(
                f"{self.folder} belongs to an unfinished run with other settings: "
                "repeat that command, or delete the folder"
            )

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    def missing(self) -> list[int]:
        """Numbers of the parts that are not there yet."""
        return [number for number in range(self.count) if not self._part(number).exists()]

    def store(self, number: int, samples: object) -> None:
        """Writes one part.

        Raises:
            OutputError: the disk is full or not writable.
        """
        with self._naming_the_file(), file_aside(self._part(number)) as stream:
            np.savez(stream, **{name: getattr(samples, name) for name in self.names})

    def join(self, samples: int) -> None:
        """Writes the file from its parts and deletes them.

        Raises:
            OutputError: the disk is full or not writable.
        """
        with self._naming_the_file():
            whole = self.folder / "whole.npz"
            self.write(whole, samples)
            whole.replace(self.path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, path: Path, samples: int) -> None:
        """Writes the arrays of all parts as one .npz.

        Raises:
            OutputError: the file cannot be written.
        """
        _write_samples(path, self.parts(), samples, self.settings)

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        """Errors about a part become errors about the file that was asked for."""
        try:
            yield
        except (OutputError, OSError) as error:
            cause = error.__cause__ if isinstance(error, OutputError) else error
            why = reason(cause) if isinstance(cause, OSError) else str(error)
            if len(self.missing()) == self.count:
                shutil.rmtree(self.folder, ignore_errors=True)
                raise OutputError(f"cannot write {self.path}: {why}") from error
            raise OutputError(
                f"cannot write {self.path}: {why}; finished parts stay in {self.folder}: "
                "repeat the command to go on, or delete them"
            ) from error

    def parts(self) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        """The arrays of each part in turn."""
        for number in range(self.count):
            with np.load(self._part(number), allow_pickle=False) as archive:
                yield {name: archive[name] for name in self.names}


def _write_samples(
    path: Path,
    parts: Iterator[dict[str, np.ndarray[Any, Any]]],
    samples: int,
    settings: str,
) -> None:
    """Joins parts into the .npz file at `path`; `H` passes through without being held in memory.

    Raises:
        OutputError: the file cannot be written.
    """
    small: dict[str, list[np.ndarray[Any, Any]]] = {"sample_absmax": [], "ue_xy": []}
    with file_aside(path) as stream, zipfile.ZipFile(stream, "w", allowZip64=True) as archive:
        with _entry(archive, "H") as entry:
            done = 0
            for part in parts:
                rows = part["H"][: samples - done]
                if done == 0:
                    header = {
                        "descr": "<f2",
                        "fortran_order": False,
                        "shape": (samples, *rows.shape[1:]),
                    }
                    np.lib.format.write_array_header_1_0(entry, header)
                entry.write(rows.astype("<f2", copy=False).tobytes())
                for name, pieces in small.items():
                    pieces.append(part[name][: len(rows)])
                done += len(rows)
        arrays = {name: np.concatenate(pieces) for name, pieces in small.items()}
        arrays["bs_xy"] = np.zeros(2, dtype=np.float32)
        arrays["seed"] = np.array(json.loads(settings)["seed"])
        arrays["parameters"] = np.array(settings)
        _write_arrays(archive, arrays)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Writes an .npz aside and renames it; equal arrays make equal files.

    Raises:
        OutputError: the file cannot be written.
    """
    with file_aside(path) as stream, zipfile.ZipFile(stream, "w", allowZip64=True) as archive:
        _write_arrays(archive, arrays)


def _write_arrays(archive: zipfile.ZipFile, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    for name, array in arrays.items():
        with _entry(archive, name) as entry:
            np.lib.format.write_array(entry, array, allow_pickle=False)


def _entry(archive: zipfile.ZipFile, name: str) -> Any:
    # A fixed date: equal samples make equal files.
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)
