"""W5 and W0: a precoder by table, and what a UE does before its encoder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from benchmarks.rows.context import Context
from benchmarks.rows.measure import OURS, Call, Check, Peer, Row, Window, in_python
from benchmarks.rows.roofline import Work
from csideploy import runtime
from csideploy.bench import our_call
from csideploy.channels.conventions import to_input
from csideploy.channels.transform import to_angular_delay
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.precoder_models import table_precoder_model
from csideploy.runtime import Part

sys.path.insert(0, str(Path(__file__).parents[1]))  # its files are programs of their own

import precoder_speed

Array = NDArray[Any]
IN_C = "csideploy in C"
HOT, RUN, BATCH = "in C, one message", "in C by csd_run", f"in C, {precoder_speed.BATCH} a call"
SUBCARRIERS, ANTENNAS, DELAYS = 1024, 32, 32


def w5(context: Context) -> list[Row]:
    """Sets of 2 and of 4 users, from Python and in C."""
    library = precoder_speed.library(context.folder)
    wanted = [case for case in precoder_speed.CASES if case.name.startswith("sorted int8")]
    return [_precode(case, library) for case in wanted]


def _precode(case: precoder_speed.Case, library: Any) -> Row:
    windows, size = precoder_speed.candidates(case, library)
    model = table_precoder_model(
        precoder_speed.random_table(case),
        users=case.users,
        streams=precoder_speed.STREAMS,
        antennas=precoder_speed.ANTENNAS,
        bits=precoder_speed.BITS,
        sorted_=case.sorted_,
    )
    data = write_bundle(compile_model(model, part="precoder", side="bs"))
    part = Part(data)
    payload = np.random.default_rng(9).integers(0, 256, (1, case.users, 1), np.uint8)
    found: dict[str, Window] = {OURS: in_python(our_call([part], [payload]))}
    # Theirs are nanoseconds.
    named = {IN_C: "csideploy", HOT: "hot", RUN: "csd_run", BATCH: "batch"}
    named |= {"onnxruntime": "onnxruntime", "numpy": "numpy"}
    for name, key in named.items():
        found[name] = _in_seconds(windows[key])
    touched = size / max(1, len(precoder_speed.random_table(case)))
    return Row(
        "W5",
        f"K = {case.users}",
        f"table precoder, {case.name}, 6 bits a user, {size / 1e6:.2f} MB",
        found,
        {"onnxruntime": Peer(), "numpy": Peer()},
        at_most={OURS: 1e-6, IN_C: 100e-9},
        goal_seconds={IN_C: 50e-9},
        # One row of the table and the result, not the table, are what a call moves.
        work=Work(0.0, {}, touched + sum(y.nbytes for y in part.run(payload))),
        part=part,
        given=(payload,),
    )


def _in_seconds(window: Window) -> Window:
    return lambda calls: window(calls) * 1e-9


def w0(_: Context) -> list[Row]:
    """1024 subcarriers x 32 antennas to the scaled 32 x 32 input."""
    rng = np.random.default_rng(0)
    shape = (1, SUBCARRIERS, ANTENNAS)
    h = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    right = to_input(to_angular_delay(h.astype(complex), DELAYS))[0]
    calls: dict[str, Call] = {"numpy": lambda: to_input(to_angular_delay(h, DELAYS))}
    calls["scipy.fft"] = lambda: _scipy(h)
    calls[OURS] = lambda: runtime.angular_delay(h, DELAYS)
    made = runtime.angular_delay(h, DELAYS)[0]
    apart = float(np.abs(made - right).max())
    # What an FFT must count depends on its form: the limit is that of reading the channels.
    moved = h.nbytes + right.nbytes
    return [
        Row(
            "W0",
            "",
            f"{SUBCARRIERS} subcarriers x {ANTENNAS} antennas to the {DELAYS} x {DELAYS} input",
            {name: in_python(call) for name, call in calls.items()},
            {"scipy.fft": Peer(None, 10), "numpy": Peer()},
            work=Work(0.0, {}, float(moved)),
            checks=[Check(f"at most {apart:.1g} from float64 NumPy (1e-5)", apart <= 1e-5)],
        )
    ]


def _scipy(h: Array) -> Array:
    """In float32 throughout, one thread."""
    taps = scipy.fft.ifft(h, axis=1, workers=1)[:, :DELAYS]
    angles = scipy.fft.fft(taps, axis=2, norm="ortho", workers=1)
    angles = scipy.fft.fftshift(angles, axes=2).swapaxes(1, 2)
    scale = 2 * np.abs(angles).max()
    x = np.empty((1, 2, ANTENNAS, DELAYS), np.float32)
    np.divide(angles.real, scale, out=x[:, 0])
    np.divide(angles.imag, scale, out=x[:, 1])
    x += np.float32(0.5)
    return x
