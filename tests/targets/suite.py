"""One hash a target: the same bundles, the same inputs, the same bits on every machine.

    python tests/targets/suite.py            (`make targets`)

Exports a zoo link with its C, runs encoder and decoder, both ends of a codebook, and radio units
by table and by network: with the installed runtime on every instruction set of this machine, and
the emitted C on the machines of `machines.py` under qemu; then compares the outputs. Hosted
machines run all samples; bare ones the first few, so each row has a hash over those few and, where
hosted, one over all. Besides, each target runs the golden vectors of the micro-bundle that holds
every operation, floats to the bit. Ends with 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jobs import Job, digest, prepare
from machines import MACHINES, RUNNER, Machine, build, run
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from csideploy.c_folder import write_files
from csideploy.cross.tool_chain import demand_tools
from csideploy.errors import CsideployError
from csideploy.export.bundle_read import read_whole
from csideploy.export.emit_c import emit_c
from csideploy.runtime import Part, instruction_sets

EVERY = Path(__file__).parents[1] / "runtime" / "data" / "every_operation.csib"

Advance = Callable[[], None]


@dataclass(frozen=True)
class Row:
    """What one target gave: hashes over the few samples of a bare machine, and over all."""

    target: str
    seconds: float
    few: str = ""
    full: str = ""
    every_operation: bool = False
    error: str = ""
    jobs: dict[str, str] = field(default_factory=dict)
    """The hash over the few samples of each job by itself: which one it is that differs."""


def on_machine(
    machine: Machine, jobs: list[Job], every: Path, folder: Path, advance: Advance
) -> Row:
    """Build and run the emitted C of every job, and of the micro-bundle."""
    started = time.perf_counter()
    few, full = [], []

    def place() -> Path:
        return Path(tempfile.mkdtemp(dir=folder)) / "program"

    try:
        for job in jobs:
            program = place()
            size = job.inputs[0].nbytes
            build(machine, job.emitted, program, RUNNER, f"-DINPUT_BYTES={size}")
            inputs = job.inputs[: job.few] if machine.chain.board else job.inputs
            (program.parent / "inputs.bin").write_bytes(inputs.tobytes())
            run(machine, program)
            made = (program.parent / "outputs.bin").read_bytes()
            few.append(made if machine.chain.board else job.first(made))
            full.append(made)
            advance()
        program = place()
        build(machine, every, program, every / "main.c", "-DCSD_QUIET", "-DCSD_TOLERANCE=0.0f")
        run(machine, program)  # main.c ends with 1 when a golden vector differs
        advance()
    except CsideployError as error:
        return Row(machine.name, time.perf_counter() - started, error=str(error))
    seconds = time.perf_counter() - started
    whole = "" if machine.chain.board else digest(full)
    return Row(machine.name, seconds, digest(few), whole, True, jobs=_each(jobs, few))


def _each(jobs: list[Job], few: list[bytes]) -> dict[str, str]:
    return {job.name: digest([data]) for job, data in zip(jobs, few, strict=True)}


def on_this_machine(isa: str, jobs: list[Job], advance: Advance) -> Row:
    """The installed runtime on one instruction set."""
    started = time.perf_counter()
    few, full = [], []
    for job in jobs:
        full.append(job.outputs(isa))
        few.append(job.first(full[-1]))
        advance()
    vectors = read_whole(EVERY.read_bytes()).vectors
    part = Part(EVERY, isa=isa)
    made = part.run(*(vectors[info.name] for info in part.inputs))
    same = all(
        a.tobytes() == vectors[info.name].tobytes()
        for info, a in zip(part.outputs, made, strict=True)
    )
    seconds = time.perf_counter() - started
    name = f"this machine, package, {isa}"
    return Row(name, seconds, digest(few), digest(full), same, jobs=_each(jobs, few))


def compare(options: argparse.Namespace, folder: Path, console: Console) -> list[Row]:
    """All rows, in the order of the table."""
    machines = tuple(m for m in MACHINES if options.only.lower() in m.name.lower())
    demand_tools(machine.chain for machine in machines)
    isas = instruction_sets()
    precisions = options.precision.split(",")
    samples = {"ue": options.encoder, "bs": options.decoder}
    with Progress(console=console, transient=True) as progress:
        rows = len(isas) + len(machines)
        task = progress.add_task(
            "targets", total=1 + rows * 2 * (2 + len(precisions)) + len(machines)
        )
        jobs = prepare(folder, options.model, precisions, samples)
        every = folder / "every"
        write_files(every, emit_c(EVERY.read_bytes(), title=EVERY.name, samples=9))

        def advance() -> None:
            progress.advance(task)

        advance()
        with ThreadPoolExecutor(options.jobs) as pool:
            # The last machines of the table but the bare ones take longest: they begin.
            slow = {
                m: pool.submit(on_machine, m, jobs, every, folder, advance)
                for m in sorted(machines, key=lambda m: (bool(m.chain.board), -machines.index(m)))
            }
            waiting = [pool.submit(on_this_machine, isa, jobs, advance) for isa in isas]
        waiting += [slow[machine] for machine in machines]
        console.print("; ".join(f"{job.name}: {len(job.inputs)} samples" for job in jobs))
        return [done.result() for done in waiting]


def differing(rows: list[Row]) -> list[str]:
    """The targets that failed or disagree with the first one."""
    first = rows[0]
    return [
        row.target
        for row in rows
        if not row.every_operation or row.few != first.few or (row.full and row.full != first.full)
    ]


def show(rows: list[Row], console: Console) -> None:
    """One row a target."""
    table = Table()
    for column in ("target", "hash, few samples", "hash, all samples", "every op.", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for row in rows:
        golden = "equal" if row.every_operation else "DIFFERS"
        few, full = row.error or row.few[:16], row.full[:16] or "-"
        table.add_row(row.target, few, full, golden, f"{row.seconds:.1f}")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="bacrnet10x")
    parser.add_argument("--precision", default="int8,fp32", help="a comma list, auto is one too")
    parser.add_argument("--encoder", type=int, default=1000, help="samples of the encoder")
    parser.add_argument("--decoder", type=int, default=50, help="samples of the decoder")
    parser.add_argument("--only", default="", help="machines whose name holds this")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="csideploy-targets-") as folder:
            rows = compare(options, Path(folder), Console(stderr=True))
    except CsideployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(rows, Console(width=120))
    wrong = differing(rows)
    if options.json:
        result = {"equal": not wrong, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print("all equal" if not wrong else f"DIFFER: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
