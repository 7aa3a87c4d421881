"""The C of a side as a program: runtime, kernels in use, its bundles and one input of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.bundles import random_input
from csideploy.c_folder import write_files
from csideploy.cross.tool_chain import DEVICE
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.emit_c import sources
from csideploy.export.plan import Plan
from csideploy.runtime import Part

PROGRAMS = ("footprint.c", "count.c")


@dataclass(frozen=True)
class Program:
    """A folder of C that `compile_program` takes.

    Attributes:
        folder: holds runtime/, kernels/, the programs and the bundles.
        bundle_bytes: of all bundles, without golden vectors.
        arena_bytes: the largest arena; the bundles of a side run in turn.
        macs: of a run of the parts that `count.c` runs.
    """

    folder: Path
    bundle_bytes: int
    arena_bytes: int
    macs: int

    def sources(self) -> list[Path]:
        """All but the programs: runtime, kernels, data."""
        found = [*self.folder.glob("runtime/src/*.c"), *self.folder.glob("kernels/reference/*.c")]
        return [*sorted(found), self.folder / "models.S"]


def write_program(
    folder: Path,
    bundles: Sequence[bytes],
    *,
    running: Sequence[int] | None = None,
    seed: int = 0,
) -> Program:
    """Write what is compiled for the bundles of one side.

    Args:
        folder: empty.
        bundles: `.csib`, in any order; golden vectors are left out, as on a device.
        running: which of them `count.c` runs; None: all.
        seed: of the inputs, one sample (of the most users) for each bundle: uniform in [0, 1), or
            random bytes.

    Raises:
        FormatError: a bundle is refused. InputError: the C sources are not installed.
    """
    from csideploy.export.macs import costs

    plans = [read_whole(data).plan for data in bundles]
    stripped = [write_bundle(plan) for plan in plans]
    names = {step.op.name.lower() for plan in plans for step in plan.steps}
    arena = max(plan.arena_bytes for plan in plans)
    chosen = range(len(plans)) if running is None else running
    runs = [_run(i, stripped[i], plans[i], seed) for i in chosen]
    inputs = {name: array for run in runs for name, array in run.inputs.items()}
    write_files(
        folder,
        sources(names)
        | {name: (DEVICE / name).read_bytes() for name in PROGRAMS}
        | {"parts.h": _parts_header(stripped, arena).encode()}
        | {"calls.h": _calls(runs).encode()}
        | {"models.S": _data("model", map(str, range(len(stripped)))).encode()}
        | {"inputs.S": _data("input", inputs).encode()}
        | {f"model_{i}.bin": data for i, data in enumerate(stripped)}
        | {f"input_{name}.bin": array.tobytes() for name, array in inputs.items()},
    )
    macs = sum(cost.macs for i in chosen for cost in costs(plans[i]))
    return Program(folder, sum(map(len, stripped)), arena, macs)


@dataclass(frozen=True)
class _Run:
    """One call: the part's number, bytes of its bundle, users, inputs and sizes of outputs."""

    part: int
    size: int
    users: int
    inputs: dict[str, NDArray[Any]]
    outputs: tuple[int, ...]


def _run(number: int, bundle: bytes, plan: Plan, seed: int) -> _Run:
    part = Part(bundle)
    random = np.random.default_rng((seed, number))
    arrays = [random_input(info, 1, random, users=plan.k_max) for info in part.inputs]
    sizes = tuple(array.nbytes for array in part.run(*arrays))
    named = {f"{number}_{i}": array for i, array in enumerate(arrays)}
    return _Run(number, len(bundle), plan.k_max, named, sizes)


def _parts_header(bundles: Sequence[bytes], arena: int) -> str:
    rows = "".join(f" X({i}, {len(data)}u)" for i, data in enumerate(bundles))
    models = "".join(f"extern const uint8_t csd_model_{i}[];\n" for i in range(len(bundles)))
    return f"""#ifndef CSD_PARTS_H
#define CSD_PARTS_H

#include <stdint.h>

#define CSD_PARTS {len(bundles)}u
#define CSD_ARENA_BYTES {max(arena, 1)}u
/* Number, bytes of the bundle. */
#define CSD_FOR_EACH_PART(X){rows}

{models}
#endif
"""


def _calls(runs: Sequence[_Run]) -> str:
    """The calls: inputs are data, outputs go to buffers of their own."""
    text = '#include <stddef.h>\n\n#include "csideploy/csideploy.h"\n#include "parts.h"\n\n'
    text += f"#define CSD_CALLS {len(runs)}u\n\n"
    calls, models = "", ""
    for run in runs:
        i = run.part
        for name in run.inputs:
            text += f"extern const uint8_t csd_input_{name}[];\n"
        for j, size in enumerate(run.outputs):
            text += f"static uint8_t output_{i}_{j}[{max(size, 1)}] __attribute__((aligned(16)));\n"
        taken = ", ".join(f"csd_input_{name}" for name in run.inputs)
        given = ", ".join(f"output_{i}_{j}" for j in range(len(run.outputs)))
        text += f"static const void *const inputs_{i}[] = {{{taken}}};\n"
        text += f"static void *const outputs_{i}[] = {{{given}}};\n"
        calls += f"    {{1, {run.users}u, inputs_{i}, outputs_{i}, NULL, NULL}},\n"
        models += f"    {{csd_model_{i}, {run.size}u}},\n"
    text += f"static const csd_call csd_calls[] = {{\n{calls}}};\n"
    kind = "{\n    const uint8_t *data;\n    size_t bytes;\n}"
    return f"{text}static const struct {kind} csd_models[] = {{\n{models}}};\n"


def _data(kind: str, names: Iterable[str]) -> str:
    """Read-only arrays from files: the bytes of a `const` array, with no work for a compiler."""
    text = "".join(
        f"""
    .section .rodata.csd_{kind}_{name}, "a", %progbits
    .global csd_{kind}_{name}
    .balign 16
csd_{kind}_{name}:
    .incbin "{kind}_{name}.bin"
"""
        for name in names
    )
    return f'{text}\n    .section .note.GNU-stack, "", %progbits\n'
