"""Second step of the Larq comparison: build, convert, check, time. Runs where Larq is installed.

    python benchmarks/larq/encoder.py ue-larq.npz --out ue.tflite [--rounds 101] [--json F]

Checks that LCE's FC, given the integers that our FC is given, makes the same sums, results and
payload codes; exit 1 if a single one differs. Then the whole encoder on the file's inputs: how many
payload codes and bits differ from ours and from fp32, and what the payloads are worth to an fp32
decoder. Times: one process, one thread, batch 1; the candidates take turns, the order turned round
in each round; a turn is a window of about a millisecond of CPU time. Ours packs its payload in that
time, LCE ends at the codes. The environment: docs/larq.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Larq is written for Keras 2. All three must stand before TensorFlow is imported; the last two keep
# it quiet, and concern nothing that runs here: LCE's interpreter is its own.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

try:
    import network
    from larq_compute_engine.tflite.python.interpreter import Interpreter

    from csideploy.errors import CsideployError, InputError
    from csideploy.outputs import file_aside
    from csideploy.payload import pack_codes
    from csideploy.runtime import Part
except ModuleNotFoundError as error:
    print(f"error: no {error.name} here: this step runs in Larq's environment, docs/larq.md",
          file=sys.stderr)  # fmt: skip
    sys.exit(2)

Arrays = dict[str, np.ndarray]
Call = Callable[[], object]

RANDOM = 200
"""Rows of random integers for the FC, beside the two extremes and the inputs' own."""
WINDOW_SECONDS = 1e-3
KERNELS: dict[str, dict[str, bool]] = {
    "default": {},
    "indirect bgemm": {"use_indirect_bgemm": True},
    "reference": {"use_reference_bconv": True},
}
"""LCE's kernels of a binary convolution."""
OURS = ("integers", "fp32")


def main() -> int:
    """Write the model, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arrays", type=Path, help="what weights.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="the model, .tflite")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--seed", type=int, default=0, help="of the random integers")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    try:
        arrays = read(options.arrays)
        print("converting the encoder, and its FC alone ...", file=sys.stderr)
        model, alone = network.encoder(arrays), network.linear(arrays)
        with file_aside(options.out) as stream:
            stream.write(model)
    except CsideployError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    result: dict[str, Any] = {"model": str(options.out)}
    result["bytes"] = {
        "Larq model": len(model), "ours, integers": arrays["bundle"].size,
        "ours, fp32 activations": arrays["float.bundle"].size,
    }  # fmt: skip
    result["fc"] = check_linear(arrays, alone, options.seed)
    result["encoder"] = compare(arrays, model)
    result["us"] = {
        "encoder": timed(encoder_calls(arrays, model), options.rounds),
        "FC alone": timed(linear_calls(arrays, alone), options.rounds),
    }
    report(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if not any(result["fc"]["differ"].values()) else 1


def read(path: Path) -> Arrays:
    """The arrays of a file.

    Raises:
        InputError: it is not one that weights.py wrote.
    """
    try:
        with np.load(path, allow_pickle=False) as loaded:
            arrays = dict(loaded)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read: {error}; weights.py writes it") from None
    if "fc.signs" not in arrays:
        raise InputError(f"{path} has no FC: it is not a file that weights.py wrote")
    return arrays


def part(arrays: Arrays, name: str) -> Part:
    """One of the file's bundles, ready to run."""
    return Part(arrays[name].tobytes())


def as_pixels(arrays: Arrays, q: np.ndarray) -> np.ndarray:
    """The FC's integers (n, K) as the Larq model takes them: unsigned, channel last, float32."""
    shape = (-1, arrays["x"].shape[1], *arrays["x"].shape[2:])
    u = (q.astype(np.int64) + arrays["fc.bounds"][1]).astype(np.float32)
    return u.reshape(shape).transpose(0, 2, 3, 1).reshape(len(q), 1, 1, -1)


def own_inputs(arrays: Arrays) -> np.ndarray:
    """What our integer encoder gives its FC, for all inputs: (n, K)."""
    encoder = part(arrays, "bundle")
    front = len(encoder.steps) - 4
    rows = [encoder.trace(x[None])[front][1][0].reshape(-1) for x in arrays["x"]]
    return np.stack(rows)


def check_linear(arrays: Arrays, model: bytes, seed: int) -> dict[str, Any]:
    """Both FCs on the same integers: how many numbers differ."""
    kind = np.iinfo(str(arrays["fc.x_type"]))
    inputs = arrays["fc.signs"].shape[1]
    extremes = np.array([[kind.min], [kind.max]]).repeat(inputs, axis=1)
    random = np.random.default_rng(seed).integers(kind.min, kind.max + 1, (RANDOM, inputs))
    q = np.concatenate([extremes, random, own_inputs(arrays)]).astype(kind.dtype)
    y, codes, _ = part(arrays, "fc.bundle").run(q)
    exact = arrays["fc.bias"] + (q.astype(np.int64) - arrays["fc.bounds"][0]) @ (
        arrays["fc.signs"].astype(np.int64).T
    )
    expected = (exact.astype(np.float32), y, codes)
    differ = {}
    for kernel, options in KERNELS.items():
        found = Interpreter(model, num_threads=1, **options).predict(as_pixels(arrays, q))
        for at, name in enumerate(("sums", "results", "codes")):
            differ[f"{name}, {kernel}"] = int((found[:, at] != expected[at]).sum())
    return {"rows": len(q), "numbers": int(exact.size), "differ": differ,
            "largest sum": int(np.abs(exact).max())}  # fmt: skip


def compare(arrays: Arrays, model: bytes) -> dict[str, Any]:
    """The whole encoder: codes and payloads of LCE, our integers and fp32; shares in percent."""
    x, bits = arrays["x"], int(arrays["bits"])
    image = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    found = Interpreter(model, num_threads=1, use_indirect_bgemm=True).predict(image)
    integers, payload = part(arrays, "bundle").run(x)
    floats, _ = part(arrays, "float.bundle").run(x)
    codes = {"Larq": found.astype(np.uint8), "integers": integers, "fp32": floats}
    packed = {name: pack_codes(value, bits) for name, value in codes.items()}
    assert np.array_equal(packed["integers"], payload)
    apart = {}
    for a, b in (("Larq", "integers"), ("Larq", "fp32"), ("integers", "fp32")):
        steps = np.abs(codes[a].astype(int) - codes[b])
        wrong = np.unpackbits(packed[a] ^ packed[b])
        apart[f"{a}, {b}"] = {
            "codes": 100 * float((steps > 0).mean()), "most": int(steps.max()),
            "payload_bits": 100 * float(wrong.mean()),
        }  # fmt: skip
    decoder = part(arrays, "decoder.bundle")
    nmse = {name: nmse_db(x, decoder.run(p)[0]) for name, p in packed.items()}
    return {"samples": len(x), "codes": int(integers.size), "apart": apart, "nmse_db": nmse}


def nmse_db(x: np.ndarray, h: np.ndarray) -> float:
    """Mean over samples of |h - x|^2 / |x - 1/2|^2, in dB."""
    a, b = x.astype(np.float64), h.astype(np.float64)
    error, power = ((a - b) ** 2).sum((1, 2, 3)), ((a - 0.5) ** 2).sum((1, 2, 3))
    return float(10 * np.log10((error / power).mean()))


def ours(bundle: Part, x: np.ndarray) -> Call:
    """One call of our runtime, outputs allocated beforehand."""
    out = tuple(np.empty_like(y) for y in bundle.run(x))
    return lambda: bundle.run(x, out=out)


def theirs(model: bytes, x: np.ndarray, options: dict[str, bool]) -> Call:
    """One call of LCE's interpreter, past the loop over samples that Larq puts around it."""
    inner = Interpreter(model, num_threads=1, **options).interpreter
    return lambda: inner.predict([x])


def encoder_calls(arrays: Arrays, model: bytes) -> dict[str, Call]:
    """All candidates for the whole encoder."""
    x = np.ascontiguousarray(arrays["x"][:1])
    image = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    names = dict(zip(OURS, ("bundle", "float.bundle"), strict=True))
    calls = {f"ours, {name}": ours(part(arrays, key), x) for name, key in names.items()}
    return calls | {f"LCE, {k}": theirs(model, image, v) for k, v in KERNELS.items()}


def linear_calls(arrays: Arrays, model: bytes) -> dict[str, Call]:
    """All candidates for the FC and the codes behind it."""
    q = own_inputs({**arrays, "x": arrays["x"][:1]})
    calls = {"ours, integers": ours(part(arrays, "fc.bundle"), q)}
    u = as_pixels(arrays, q)
    return calls | {f"LCE, {k}": theirs(model, u, v) for k, v in KERNELS.items()}


def window(call: Call, calls: int) -> float:
    """CPU seconds a call, over one window."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls


def timed(candidates: dict[str, Call], rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds a call of each, and its ratio to the first of all."""
    counts = {}
    for name, call in candidates.items():
        window(call, 20)
        counts[name] = max(1, int(WINDOW_SECONDS / window(call, 50)))
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    for _ in range(rounds):
        for name in order:
            seconds[name].append(window(candidates[name], counts[name]))
        order.reverse()
    first = next(iter(seconds.values()))
    return {
        name: {
            "min": 1e6 * min(own),
            "median": 1e6 * statistics.median(own),
            "ratio_min": min(own) / min(first),
            "ratio_median": statistics.median(b / a for a, b in zip(first, own, strict=True)),
        }
        for name, own in seconds.items()
    }


def report(result: dict[str, Any]) -> None:
    """The result for people."""
    sizes = ", ".join(f"{name} {size:,}" for name, size in result["bytes"].items())
    print(f"\n{result['model']}: bytes: {sizes}")
    fc, encoder = result["fc"], result["encoder"]
    print(
        f"\nFC, the same integers given ({fc['rows']} rows, {fc['numbers']:,} outputs, sums up to "
        f"{fc['largest sum']:,}); how many differ:"
    )
    for name, count in fc["differ"].items():
        print(f"  {'IDENTICAL' if not count else 'DIFFERENT'}  {name}: {count:,}")
    print(f"\nWhole encoder, {encoder['samples']} samples, {encoder['codes']:,} codes:")
    for pair, row in encoder["apart"].items():
        a, b = pair.split(", ")
        print(
            f"  {a} against {b}: {row['codes']:.3f} % of codes differ, by {row['most']} at most; "
            f"{row['payload_bits']:.3f} % of payload bits"
        )
    for name, value in encoder["nmse_db"].items():
        print(f"  NMSE of an fp32 decoder on the payload of {name}: {value:.3f} dB")
    for what, rows in result["us"].items():
        print(f"\n{what}, us of CPU time a sample: min, median; ratio of min, median of ratios")
        for name, row in rows.items():
            print(
                f"  {name:20} {row['min']:8.1f} {row['median']:8.1f}   {row['ratio_min']:6.2f}x "
                f"{row['ratio_median']:6.2f}x"
            )


if __name__ == "__main__":
    sys.exit(main())
