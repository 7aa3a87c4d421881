"""The same work in other runtimes: one thread, buffers bound before."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.rows.measure import Call

Array = NDArray[Any]
INSTALL = {
    "openvino": 'not installed: pip install -e ".[bench]"',
    "faiss": 'not installed: pip install -e ".[bench]"',
}


def installed(name: str) -> bool:
    """Whether a module can be imported."""
    return importlib.util.find_spec(name) is not None


def onnxruntime_session(model: bytes, settings: Mapping[str, str] | None = None) -> Any:
    """One thread, all optimisations, which is ONNX Runtime's default."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for key, value in (settings or {}).items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def onnxruntime_call(
    model: bytes, x: Array, settings: Mapping[str, str] | None = None
) -> tuple[Call, dict[str, Array]]:
    """One call by IOBinding, and what it gives by name."""
    session = onnxruntime_session(model, settings)
    name = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    value = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    made = session.run_with_ort_values(names, {name: value})
    binding = session.io_binding()
    binding.bind_ortvalue_input(name, value)
    for output, own in zip(names, made, strict=True):
        binding.bind_ortvalue_output(output, own)
    given = {output: own.numpy().copy() for output, own in zip(names, made, strict=True)}
    return (lambda: session.run_with_iobinding(binding)), given


def openvino_call(model: bytes, x: Array, precision: str | None) -> tuple[Call, list[Array]]:
    """One call of OpenVINO; local functions are inlined first. `precision`: its hint, or its own.

    Raises:
        RuntimeError: it does not take the network.
    """
    import onnx
    import openvino

    from csideploy.export.inline import inline_functions

    core = openvino.Core()
    network = core.read_model(
        inline_functions(onnx.load_model_from_string(model)).SerializeToString()
    )
    network.reshape(list(x.shape))  # one size, as it is measured
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = precision
    compiled = core.compile_model(network, "CPU", settings)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    request.infer()
    made = [np.array(request.get_output_tensor(i).data) for i in range(len(compiled.outputs))]
    return request.infer, made


def fastest(calls: Mapping[str, Call], *, seconds: float = 0.05) -> str:
    """The one with the shortest call; each is tried for so long, twice."""
    least: dict[str, float] = {}
    for _ in range(2):
        for name, call in calls.items():
            call()
            start = now = time.process_time()
            while now - start < seconds:
                before = now
                call()
                now = time.process_time()
                least[name] = min(least.get(name, 1e9), now - before)
    return min(least, key=lambda name: least[name])
