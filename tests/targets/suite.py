"""One hash a target: the same bundles, the same inputs, the same bits on every machine.

    python tests/targets/suite.py            (`make targets`)

Exports a zoo link with its C, runs encoder and decoder with the installed runtime on every
instruction set of this machine, and the emitted C on the machines of `machines.py` under qemu; then
compares the outputs. Hosted machines run all samples; bare ones the first few, so each row has a
hash over those few and, where hosted, one over all. Ends with 1 when a hash differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machines import MACHINES, Machine, build, demand_tools, run
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from csideploy.c_folder import folder_name
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import CsideployError
from csideploy.runtime import Part, instruction_sets

BARE = {"ue": 32, "bs": 2}
SEED = 31


@dataclass(frozen=True)
class Job:
    """One bundle with its inputs: `samples` rows of `row` bytes."""

    name: str
    bundle: Path
    inputs: NDArray[Any]

    @property
    def side(self) -> str:
        return self.name.split(".")[0]

    def outputs(self, isa: str) -> bytes:
        """The installed runtime's, sample by sample."""
        made = Part(self.bundle, isa=isa).run(self.inputs)
        return b"".join(a[i].tobytes() for i in range(len(self.inputs)) for a in made)


@dataclass(frozen=True)
class Row:
    """What one target gave: hashes over the few samples of a bare machine, and over all."""

    target: str
    seconds: float
    few: str = ""
    full: str = ""
    error: str = ""


def prepare(folder: Path, model: str, precision: str, encoder: int, decoder: int) -> list[Job]:
    """Export the link, make channels, encode them; one job a bundle."""
    command = [sys.executable, "-m", "csideploy", "export", "--model", model]
    command += ["--precision", precision, "--emit", "bundle,c", "--out", str(folder / "link")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CsideployError(done.stderr.strip())
    channels = generate("indoor", encoder, seed=SEED).H.astype(np.float32)
    x, _ = to_input(channels[:, 0] + 1j * channels[:, 1])
    jobs = []
    for ue in sorted((folder / "link").glob("ue*.csib")):
        bs = ue.with_name(ue.name.replace("ue", "bs", 1))
        part = Part(ue)
        made = dict(zip([o.name for o in part.outputs], part.run(x), strict=True))
        jobs.append(Job(ue.stem, ue, x))
        jobs.append(Job(bs.stem, bs, made["payload"][:decoder]))
    return jobs


def digest(outputs: dict[str, bytes], jobs: list[Job], *, few: bool) -> str:
    """SHA-256 over the outputs of all jobs in order, or of the first samples of each."""
    whole = hashlib.sha256()
    for job in jobs:
        data = outputs[job.name]
        whole.update(data[: _few_bytes(job, data)] if few else data)
    return whole.hexdigest()


def _few_bytes(job: Job, data: bytes) -> int:
    samples = len(job.inputs)
    return len(data) // samples * min(BARE[job.side], samples)


def on_machine(machine: Machine, jobs: list[Job], folder: Path) -> Row:
    """Build and run the emitted C of every job."""
    started = time.perf_counter()
    outputs = {}
    few = hashlib.sha256()
    try:
        for job in jobs:
            place = Path(tempfile.mkdtemp(prefix=f"{job.name}-", dir=folder))
            emitted = job.bundle.with_name(folder_name(job.bundle.name))
            build(machine, emitted, place / "program", job.inputs[0].nbytes)
            rows = job.inputs[: BARE[job.side]] if machine.board else job.inputs
            made = run(machine, place / "program", rows.tobytes())
            outputs[job.name] = made
            few.update(made if machine.board else made[: _few_bytes(job, made)])
    except RuntimeError as error:
        return Row(machine.name, time.perf_counter() - started, error=str(error))
    full = "" if machine.board else digest(outputs, jobs, few=False)
    return Row(machine.name, time.perf_counter() - started, few.hexdigest(), full)


def on_this_machine(isa: str, jobs: list[Job]) -> Row:
    """The installed runtime on one instruction set."""
    started = time.perf_counter()
    outputs = {job.name: job.outputs(isa) for job in jobs}
    seconds = time.perf_counter() - started
    few, full = (digest(outputs, jobs, few=few) for few in (True, False))
    return Row(f"this machine, package, {isa}", seconds, few, full)


def compare(options: argparse.Namespace, folder: Path, console: Console) -> list[Row]:
    """All rows, in the order of the table."""
    machines = tuple(m for m in MACHINES if options.only.lower() in m.name.lower())
    demand_tools(machines)
    isas = instruction_sets()
    rows: dict[str, Row] = {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("targets", total=1 + len(isas) + len(machines))
        jobs = prepare(folder, options.model, options.precision, options.encoder, options.decoder)
        progress.advance(task)
        with ThreadPoolExecutor(options.jobs) as pool:
            waiting = [pool.submit(on_this_machine, isa, jobs) for isa in isas]
            waiting += [pool.submit(on_machine, m, jobs, folder) for m in machines]
            for done in as_completed(waiting):
                row = done.result()
                rows[row.target] = row
                progress.advance(task)
        console.print("bundles: " + ", ".join(f"{job.name} ({len(job.inputs)})" for job in jobs))
        return [done.result() for done in waiting]


def differing(rows: list[Row]) -> list[str]:
    """The targets that failed or disagree with the first one."""
    first = rows[0]
    return [
        row.target
        for row in rows
        if row.error or row.few != first.few or (row.full and row.full != first.full)
    ]


def show(rows: list[Row], options: argparse.Namespace, console: Console) -> None:
    """One row a target; samples of encoder / decoder stand over the hashes."""
    few = f"{min(BARE['ue'], options.encoder)} / {min(BARE['bs'], options.decoder)}"
    table = Table()
    for column in ("target", few, f"{options.encoder} / {options.decoder}", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for row in rows:
        table.add_row(
            row.target, row.error or row.few[:16], row.full[:16] or "-", f"{row.seconds:.1f}"
        )
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="bacrnet10x")
    parser.add_argument("--precision", default="fp32", help="fp32, int8 or auto")
    parser.add_argument("--encoder", type=int, default=1000, help="samples of the encoder")
    parser.add_argument("--decoder", type=int, default=50, help="samples of the decoder")
    parser.add_argument("--only", default="", help="machines whose name holds this")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args()
    console = Console(width=110)
    try:
        with tempfile.TemporaryDirectory(prefix="csideploy-targets-") as folder:
            rows = compare(options, Path(folder), Console(stderr=True))
    except CsideployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(rows, options, console)
    wrong = differing(rows)
    if options.json:
        result = {"equal": not wrong, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print("all equal" if not wrong else f"DIFFER: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
