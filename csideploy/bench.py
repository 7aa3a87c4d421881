"""Latency of a link package beside other runtimes, in one process.

One sample, one thread. The candidates take turns, the order turned round in each round; a turn is a
window of about a millisecond, timed in CPU time of the process. Buffers are bound beforehand. Only
the ratios of one run mean something: min / min, and the median of the ratios of all rounds.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError, MissingDependencyError, UnsupportedError
from csideploy.package import LinkPackage
from csideploy.progress import Advance, quiet
from csideploy.runtime import Part
from csideploy.runtime.isa import choose

WINDOW_SECONDS = 1e-3
OURS = "csideploy"
PEERS = ("onnxruntime", "openvino")

Call = Callable[[], object]


def our_call(parts: Sequence[Part], arrays: Sequence[NDArray[Any]]) -> Call:
    """One call of our runtime on bound buffers; several parts run one after another.

    Args:
        parts: in order; each takes what the one before gives out last (`csideploy.chain`).
        arrays: inputs of the first.
    """
    calls = []
    inputs = tuple(arrays)
    for part in parts:
        calls.append(part.bind(*inputs))
        inputs = calls[-1]()[-1:]
    if len(calls) == 1:
        return calls[0]

    def call() -> None:
        for one in calls:
            one()

    return call


def onnxruntime_call(models: Sequence[bytes], x: NDArray[Any]) -> Call:
    """One call of ONNX Runtime on bound buffers; several networks run one after another."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    runs = []
    value = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    for model in models:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        names = [output.name for output in session.get_outputs()]
        binding = session.io_binding()
        binding.bind_ortvalue_input(name, value)
        made = session.run_with_ort_values(names, {name: value})
        for output, own in zip(names, made, strict=True):
            binding.bind_ortvalue_output(output, own)
        # A feature's quantizer gives codes and payload; what goes on is one tensor.
        value = made[names.index("payload")] if "payload" in names else made[0]
        runs.append((session, binding))

    def call() -> None:
        for session, binding in runs:
            session.run_with_iobinding(binding)

    return call


def openvino_call(models: Sequence[bytes], x: NDArray[Any]) -> Call:
    """One call of OpenVINO, which takes no local functions: they are inlined first."""
    import onnx
    import openvino

    from csideploy.export.inline import inline_functions

    core = openvino.Core()
    requests = []
    for model in models:
        plain = inline_functions(onnx.load_model_from_string(model)).SerializeToString()
        network = core.read_model(plain)
        # One sample, as it is measured; with an open batch it refuses some networks.
        network.reshape(list(x.shape))
        compiled = core.compile_model(
            network, "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        )
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
        request.infer()
        names = [output.get_any_name() for output in compiled.outputs]
        place = names.index("payload") if "payload" in names else 0
        x = np.array(request.get_output_tensor(place).data)
        requests.append(request)

    def call() -> None:
        for request in requests:
            request.infer()

    return call


_CALLS = {"onnxruntime": onnxruntime_call, "openvino": openvino_call}


def check_peers(names: Sequence[str]) -> None:
    """Refuse peers that are unknown or not installed.

    Raises:
        InputError: an unknown one. MissingDependencyError: one that is not installed.
    """
    for name in names:
        if name not in PEERS:
            raise InputError(f"--against {name}: one of {', '.join(PEERS)}")
        if importlib.util.find_spec(name) is None:
            raise MissingDependencyError(
                f"--against {name}: not installed here: pip install {name}"
            )


def bench(
    package: LinkPackage,
    *,
    against: Sequence[str] = (),
    rounds: int = 101,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Time both sides of a link.

    Args:
        package: of CSI feedback or of a precoder; with several bit budgets, the largest.
        against: peers, of `PEERS`.
        rounds: windows for each candidate.
        progress: called with rounds done and rounds in all.

    Returns:
        `isa`, `rounds`, `sides`: for each `seconds` by candidate with `min` and `median`, and
        `speedup` by peer with `min` and `paired`: how many times as long the peer takes.

    Raises:
        InputError: a package of another kind, an unknown peer, or a side that has no ONNX file to
            compare with. MissingDependencyError: a peer is not installed. UnsupportedError: a peer
            does not take a side's network.
    """
    check_peers(against)
    if package.is_fronthaul or package.is_transceiver:
        raise InputError(
            f"{package.path}: bench takes CSI feedback and precoders; csideploy report has the "
            "latency of fronthaul quantizers and transceivers"
        )
    layout = package.layouts[-1] if package.layouts else None
    calls = {}
    for side in ("ue", "bs"):
        stems = package.stems(side, layout)
        parts = [Part(package.open_bundle(stem)) for stem in stems]
        x = sample(parts[0])
        calls[side] = {OURS: our_call(parts, [x])}
        for peer in against:
            # fp32 of integer packages too: runtimes take longer over their QDQ files.
            files = [f"{stem}.onnx" for stem in stems]
            missing = [name for name in files if not (package.path / name).is_file()]
            if missing:
                raise InputError(
                    f"{package.path}: no {missing[0]}: the {side.upper()} is no network that "
                    f"{peer} could run"
                )
            networks = [package.read(name) for name in files]
            try:
                calls[side][peer] = _CALLS[peer](networks, x)
            except RuntimeError as error:
                # What OpenVINO raises, over several lines; it refuses codebooks' quantizers, say.
                raise UnsupportedError(
                    f"--against {peer}: it does not take the {side.upper()} of {package.path}: "
                    f"{' '.join(str(error).split())[:200]}"
                ) from error
    total = rounds * len(calls)
    sides = {}
    for place, (side, candidates) in enumerate(calls.items()):

        def advance(done: int, _: int, before: int = place * rounds) -> None:
            progress(before + done, total)

        sides[side] = _figures(interleaved(candidates, rounds=rounds, progress=advance))
    return {
        "package": str(package.path),
        "name": package.name,
        "isa": choose(),
        "rounds": rounds,
        "window_s": WINDOW_SECONDS,
        "sides": sides,
    }


def sample(part: Part) -> NDArray[Any]:
    """One input: CSI near 0.5 with a spread is what an encoder sees, and any payload is legal."""
    info = part.inputs[0]
    random = np.random.default_rng(7)
    sizes = {"n": 1, "k": part.k_max}
    shape = tuple(sizes[dim] if isinstance(dim, str) else dim for dim in info.shape)
    if info.dtype == "uint8":
        return random.integers(0, 256, shape, dtype=np.uint8)
    return np.clip(random.normal(0.5, 0.02, shape), 0, 1).astype(np.float32)


def interleaved(
    calls: Mapping[str, Call], *, rounds: int, progress: Advance = quiet
) -> dict[str, list[float]]:
    """CPU seconds a call of each candidate, one mean of a window a round.

    Args:
        calls: by name.
        rounds: how many.
        progress: called with rounds done and rounds in all.
    """
    counts = {name: _calls_a_window(call) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for done in range(rounds):
        progress(done, rounds)
        for name in order:
            seconds[name].append(_window(calls[name], counts[name]))
        order.reverse()
    progress(rounds, rounds)
    return seconds


def _calls_a_window(call: Call) -> int:
    """How many calls fill one window; warms the candidate up on the way."""
    start = time.process_time()
    count = 0
    while time.process_time() - start < 20 * WINDOW_SECONDS:
        call()
        count += 1
    return max(1, count // 20)


def _window(call: Call, calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls


def _figures(seconds: Mapping[str, list[float]]) -> dict[str, Any]:
    ours = seconds[OURS]
    return {
        "seconds": {
            name: {"min": min(own), "median": statistics.median(own)}
            for name, own in seconds.items()
        },
        "speedup": {
            name: {
                "min": min(own) / min(ours),
                "paired": statistics.median(b / a for a, b in zip(ours, own, strict=True)),
            }
            for name, own in seconds.items()
            if name != OURS
        },
    }
