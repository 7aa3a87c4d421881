"""Nanoseconds a call of a base station's precoders, beside ONNX Runtime and NumPy.

    python benchmarks/precoder_speed.py

K users of B = 6 bits, M = 8 antennas, N = 2 streams a user; the tables hold random numbers, the
messages are random. Our parts are timed in C (`precoder_speed.c`, compiled here with the kernels
and flags of the machine's best instruction set): one sample a call through csd_bound_run, with
65,536 random messages and with one message again and again ("hot"), through csd_run, and 64 samples
a call. ONNX Runtime by IOBinding with messages that are bound before, NumPy as one writes it. All
in one process on one thread, candidates in turns, the order reversed each round; the processor's
own time. min and median are over the rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from csideploy.errors import CsideployError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.precoder_models import rzf_plan, table_precoder_model
from csideploy.export.precoder_rules import table_rows
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]
ROOT = Path(__file__).resolve().parents[1]
BITS, ANTENNAS, STREAMS = 6, 8, 2
NUMBERS = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
AVX2 = ("-mavx2", "-mfma")
ISA_FLAGS = {
    "avx2": AVX2,
    "avx512": (
        *AVX2,
        *(f"-mavx512{part}" for part in ("f", "bw", "cd", "dq", "vl", "vnni")),
        "-mprefer-vector-width=256",
    ),
    "neon": (),
    "dotprod": ("-march=armv8.2-a+dotprod",),
}
"""Of the instruction sets with kernels in vectors, as cmake/isa.cmake has them."""
BOUND = 64
"""Messages that ONNX Runtime has bound in advance."""
BATCH = 64
"""Samples of a call where there is more than one."""
BOUND_RUN, RUN, CACHED = range(3)
"""How precoder_speed.c makes a call."""


@dataclass(frozen=True)
class Case:
    """A table: sorted or not, element type, columns a user; "rzf" has none."""

    name: str
    kind: str
    users: int
    sorted_: bool = True
    columns: int = 1
    entries: int = 0

    @property
    def messages(self) -> int:
        """Different messages; few in front of a cache."""
        return 1000 if self.entries else 1 << 16


CASES = (
    Case("sorted int8, K = 2", "int8", 2, columns=STREAMS),
    Case("ordered int8, K = 2", "int8", 2, sorted_=False, columns=STREAMS),
    Case("ordered int8 rank 1, K = 2", "int8", 2, sorted_=False),
    Case("ordered float32, K = 2", "float32", 2, sorted_=False, columns=STREAMS),
    Case("ordered float32 rank 1, K = 2", "float32", 2, sorted_=False),
    Case("sorted int8 rank 1, K = 4", "int8", 4),
    Case("sorted int4 rank 1, K = 4", "int4", 4),
    Case("rzf, K = 4", "rzf", 4),
    Case("rzf, K = 4, 4096 cached of 1000", "rzf", 4, entries=4096),
)


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--window", type=float, default=1.0, help="milliseconds")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def library(folder: Path) -> ctypes.CDLL:
    """The driver with the runtime and the kernels, as the package builds its best table."""
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if cc is None:
        raise CsideployError("no C compiler: install gcc or clang")
    isa = instruction_sets()[-1]
    files = [*ROOT.glob("runtime/src/*.c"), ROOT / "benchmarks" / "precoder_speed.c"]
    files += [ROOT / "kernels/reference" / f"{name}_precoder.c" for name in ("table", "rzf")]
    flags = ["-std=c99", "-D_DEFAULT_SOURCE", "-O3", f"-DCSD_ISA={isa}", *NUMBERS]
    if isa in ISA_FLAGS:
        files.append(ROOT / "kernels/vector/table_precoder.c")
        flags += ["-DCSD_WITH_FAST", *ISA_FLAGS[isa]]
    includes = [f"-I{ROOT / name}" for name in ("runtime/include", "runtime/src", "kernels")]
    out = folder / "precoder_speed.so"
    sources = [str(file) for file in files]
    command = [cc, *flags, "-fPIC", "-shared", *includes, *sources, "-lm", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CsideployError(f"{cc}: {(done.stderr.strip().splitlines() or ['failed'])[0]}")
    loaded = ctypes.CDLL(str(out))
    loaded.bench_open.restype = ctypes.c_void_p
    loaded.bench_open.argtypes = [ctypes.c_char_p] + [ctypes.c_size_t] * 3
    loaded.bench_window.restype = ctypes.c_double
    loaded.bench_window.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    loaded.bench_window.argtypes += [ctypes.c_size_t] * 2
    loaded.bench_close.argtypes = [ctypes.c_void_p]
    return loaded


def random_table(case: Case) -> Array:
    """In the form of the case."""
    rng = np.random.default_rng(case.users)
    rows = table_rows(BITS, case.users, sorted_=case.sorted_)
    shape = (rows, case.users, case.columns, ANTENNAS, 2)
    if case.kind == "float32":
        return rng.standard_normal(shape, np.float32)
    if case.kind == "int4":
        return rng.integers(0, 256, shape[:-1], np.uint8)
    return rng.integers(-128, 128, shape, np.int8)


def numpy_table(case: Case, table: Array) -> Callable[[Array], Array]:
    """The precoder as one writes it in NumPy: sort, look up, scale, unsort."""
    users = case.users
    binomials = np.zeros((users, (1 << BITS) + users), np.int64)
    binomials[0] = np.arange(binomials.shape[1])
    for i in range(1, users):
        binomials[i] = binomials[i - 1] * (binomials[0] - i) // (i + 1)
    radix = (1 << BITS) ** np.arange(users - 1, -1, -1)
    numbers = np.arange(users)

    def precode(payload: Array) -> Array:
        q = (payload[0, :, 0] >> (8 - BITS)).astype(np.int64)
        if case.sorted_:
            order = np.argsort(q, kind="stable")
            blocks = np.empty_like(table[0])
            blocks[order] = table[binomials[numbers, q[order] + numbers].sum()]
        else:
            blocks = table[q @ radix]
        if case.kind == "int4":
            parts = np.stack([blocks >> 4, blocks & 15], axis=-1)
            blocks = (parts ^ 8).astype(np.int8) - np.int8(8)
        if case.kind != "float32":
            sums = (blocks.astype(np.int32) ** 2).sum(axis=(2, 3), keepdims=True)
            blocks = blocks * (1 / np.sqrt(np.maximum(sums, 1).astype(np.float32)))
        return np.broadcast_to(blocks, (users, STREAMS, ANTENNAS, 2)).copy()

    return precode


def numpy_rzf(codebook: Array, loading: float) -> Callable[[Array], Array]:
    """In complex64, by numpy.linalg.solve."""
    book = codebook.view(np.complex64)[..., 0]

    def precode(payload: Array) -> Array:
        a = book[payload[0, :, 0] >> (8 - BITS)].T
        gram = a.conj().T @ a
        gram.flat[:: len(gram) + 1] += loading
        w = np.linalg.solve(gram.conj(), a.T)
        w /= np.linalg.norm(w, axis=1, keepdims=True)
        v = np.repeat(w[:, None], STREAMS, axis=1).view(np.float32)
        return v.reshape(len(w), STREAMS, ANTENNAS, 2)

    return precode


def bound_session(model: bytes, payloads: Array, shape: tuple[int, ...]) -> Callable[[int], None]:
    """One run of ONNX Runtime by the number of a message; nothing is bound while it is timed."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    result = ort.OrtValue.ortvalue_from_shape_and_type([1, *shape], np.float32)
    bindings = []
    for i in range(BOUND):
        binding = session.io_binding()
        binding.bind_ortvalue_input(
            "payload", ort.OrtValue.ortvalue_from_numpy(payloads[i : i + 1])
        )
        binding.bind_ortvalue_output("V", result)
        bindings.append(binding)

    def run(i: int) -> None:
        session.run_with_iobinding(bindings[i % BOUND])

    return run


Window = Callable[[int], float]
"""Calls -> nanoseconds a call."""


def in_python(call: Callable[[int], object]) -> Window:
    """A window of calls from Python."""

    def window(calls: int) -> float:
        start = time.thread_time_ns()
        for i in range(calls):
            call(i)
        return (time.thread_time_ns() - start) / calls

    return window


def in_c(
    loaded: ctypes.CDLL, data: bytes, payloads: Array, how: int, *, samples: int = 1,
    entries: int = 0,
) -> Window:  # fmt: skip
    """A window of calls by the driver, in nanoseconds a sample."""
    handle = loaded.bench_open(data, len(data), samples, entries)
    if not handle:
        raise CsideployError("the driver does not open the bundle")

    def window(calls: int) -> float:
        found = float(loaded.bench_window(handle, how, payloads.ctypes.data, len(payloads), calls))
        if found < 0:
            raise CsideployError("a call was refused")
        return found

    return window


def candidates(case: Case, loaded: ctypes.CDLL) -> tuple[dict[str, Window], int]:
    """Name -> window of one case, and the bytes of its constants."""
    payloads = np.random.default_rng(9).integers(0, 256, (case.messages, case.users, 1))
    payloads = payloads.astype(np.uint8)
    windows: dict[str, Window] = {}
    if case.kind == "rzf":
        rng = np.random.default_rng(1)
        book = rng.standard_normal((1 << BITS, ANTENNAS, 2))
        book = (book / np.linalg.norm(book, axis=(1, 2), keepdims=True)).astype(np.float32)
        plan = rzf_plan(book, users=case.users, streams=STREAMS, bits=BITS, loading=0.1)
        in_numpy = numpy_rzf(book, 0.1)
    else:
        table = random_table(case)
        model = table_precoder_model(
            table, users=case.users, streams=STREAMS, antennas=ANTENNAS, bits=BITS,
            sorted_=case.sorted_,
        )  # fmt: skip
        plan = compile_model(model, part="precoder", side="bs")
        in_numpy = numpy_table(case, table)
        shape = (case.users, STREAMS, ANTENNAS, 2)
        windows["onnxruntime"] = in_python(
            bound_session(model.SerializeToString(), payloads, shape)
        )
        many = write_bundle(compile_model(model, part="precoder", side="bs", n_max=BATCH))
        windows["batch"] = in_c(loaded, many, payloads, BOUND_RUN, samples=BATCH)
    data = write_bundle(plan)
    (v,) = Part(data).run(payloads[:BOUND])
    for i in range(BOUND):  # the peers compute the same
        np.testing.assert_allclose(in_numpy(payloads[i : i + 1]), v[i], atol=1e-4)
    if case.entries:
        windows["csideploy"] = in_c(loaded, data, payloads, CACHED, entries=case.entries)
    else:
        windows["csideploy"] = in_c(loaded, data, payloads, BOUND_RUN)
        windows["hot"] = in_c(loaded, data, payloads[:1], BOUND_RUN)
        windows["csd_run"] = in_c(loaded, data, payloads, RUN)
    windows["numpy"] = in_python(lambda i: in_numpy(payloads[i % BOUND : i % BOUND + 1]))
    return windows, int(plan.weights.size)


def measure(loaded: ctypes.CDLL, rounds: int, window_ms: float) -> list[dict[str, Any]]:
    """One row a case."""
    every: list[tuple[int, str, Window, int]] = []
    rows: list[dict[str, Any]] = []
    for number, case in enumerate(CASES):
        windows, size = candidates(case, loaded)
        rows.append({"case": case.name, "bytes": size})
        for name, window in windows.items():
            window(20)
            calls = max(10, int(window_ms * 1e6 / max(window(200), 1.0)))
            every.append((number, name, window, calls))
    found: dict[tuple[int, str], list[float]] = {}
    for turn in track(range(rounds), "rounds", console=Console(stderr=True), transient=True):
        for number, name, window, calls in every if turn % 2 else every[::-1]:
            found.setdefault((number, name), []).append(window(calls))
    for (number, name), values in found.items():
        rows[number][f"{name}_min_ns"] = round(min(values), 1)
        rows[number][f"{name}_median_ns"] = round(float(np.median(values)), 1)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """The table, with how many times longer a peer takes, by the minima."""
    title = f"ns a sample, M = {ANTENNAS}, N = {STREAMS}, B = {BITS}: min / median"
    table = Table(title=title)
    table.add_column("precoder")
    names = ("hot", "csd_run", "batch", "onnxruntime", "numpy")
    heads = ("hot", "csd_run", f"{BATCH} a call", "ONNX Runtime", "NumPy")
    for name in ("constants", "ours", *heads):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [f"{row['csideploy_min_ns']:,.0f} / {row['csideploy_median_ns']:,.0f}"]
        for name in names:
            least = row.get(f"{name}_min_ns")
            shown = f"{least:,.0f} / {row[f'{name}_median_ns']:,.0f}" if least else "-"
            if least and name in ("onnxruntime", "numpy"):
                shown += f"  {least / row['csideploy_min_ns']:.0f} x"
            cells.append(shown)
        table.add_row(row["case"], f"{row['bytes'] / 1e6:.2f} MB", *cells)
    Console(width=140).print(table)


def main() -> None:
    """Measure and print."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="csideploy-precoder-") as folder:
        rows = measure(library(Path(folder)), options.rounds, options.window)
    show(rows)
    if options.json:
        result = {"antennas": ANTENNAS, "streams": STREAMS, "bits": BITS, "rows": rows}
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
