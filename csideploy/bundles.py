"""One part on its own: compile a stranger's ONNX file, run a bundle on arrays, look inside it."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy import c_folder
from csideploy.calibration import from_arrays, from_csi, pieces
from csideploy.errors import FormatError, InputError, UnsupportedError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import K_MAX, compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import OPS, Plan, Storage
from csideploy.export.quantize.prepare import is_quantized
from csideploy.integer_rules import has_integers
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.outputs import file_aside, folder_aside, reason
from csideploy.package import refusal
from csideploy.progress import Advance, quiet
from csideploy.quantize import ERROR_LEVEL_DB, quantize_part
from csideploy.report.units import shape_text
from csideploy.runtime import Part, TensorInfo

SIDES = ("ue", "bs", "ru", "du")

CHUNK = 250
"""Samples a call of the runtime, so that progress can be shown."""


@dataclass(frozen=True)
class Integers:
    """How a network becomes integers.

    precision: int8, auto or mixed. calibration: inputs the network will see, as CSI or as an array.
    level_db: the error (NMSE) that the network makes anyway, which 8 bits are judged beside.
    """

    precision: str
    calibration: Path | None = None
    level_db: float = ERROR_LEVEL_DB


def compile_file(
    model: Path,
    out: Path | None,
    *,
    side: str,
    part: str,
    vectors: int = 1,
    max_users: int = K_MAX,
    seed: int = 0,
    integers: Integers | None = None,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Compile an ONNX file into a bundle beside it, or at `out`.

    Args:
        model: the ONNX file.
        out: the bundle; MODEL.csib, or MODEL.int8.csib, if None.
        side: where it will run.
        part: its name.
        vectors: random inputs that the bundle carries (with `integers` those of the calibration)
            and what comes out: by ONNX Runtime, or by the NumPy specification where integers run.
        max_users: the most users of a call, for a network with an axis named k; the vectors have
            as many.
        seed: of these inputs.
        integers: quantize first; the QDQ network is written beside the bundle, `.int8.onnx`. A
            network with scales of its own keeps them and needs none of this.
        progress: called with what is done of the quantization.

    Raises:
        InputError: no such file, or no such side.
        FormatError: the file is no ONNX network.
        UnsupportedError: an operator that the compiler lacks.
        OutputError: the bundle cannot be written.
    """
    if side not in SIDES:
        raise InputError(f"--side {side}: one of {', '.join(SIDES)}")
    network = read_onnx(model)
    quantized = None
    mark = ""
    if integers is not None:
        x = _calibration(network, integers.calibration, f"--precision {integers.precision}")
        quantized = quantize_part(
            network,
            # A network written for one sample gets them one by one.
            pieces(x, 1) if _one_sample(network) else pieces(x),
            precision=integers.precision,
            seed=seed,
            level_db=integers.level_db,
            progress=progress,
        )
        network = onnx.load_model_from_string(quantized.models[""])
        mark = ".int8"
    target = out if out is not None else model.with_suffix(f"{mark}.csib")
    about = {"source": model.name}
    if integers is not None:
        about["precision"] = integers.precision
    plan = compile_model(network, part=part, side=side, metadata=about, k_max=max_users)
    bundle = write_bundle(plan)
    if vectors:
        infos = Part(bundle).inputs
        if integers is not None:
            given = {i.name: _with_users(x[i.name][:vectors], i, plan.k_max) for i in infos}
        else:
            random = np.random.default_rng(seed)
            given = {i.name: random_input(i, vectors, random, plan.k_max) for i in infos}
        made = _made(plan, network, given, str(model))
        bundle = write_bundle(plan, vectors={**given, **made})
    with file_aside(target) as stream:
        stream.write(bundle)
    written = None
    if quantized is not None:
        written = target.with_name(f"{target.stem.removesuffix('.int8')}.int8.onnx")
        with file_aside(written) as stream:
            stream.write(quantized.models[""])
    return {
        "out": str(target),
        "onnx": written and str(written),
        "quantization": quantized and quantized.figures(),
        "bytes": len(bundle),
        "arena_bytes": plan.arena_bytes,
        "steps": len(plan.steps),
        "part": part,
        "side": side,
    }


def _one_sample(network: onnx.ModelProto) -> bool:
    stored = {tensor.name for tensor in network.graph.initializer}
    info = next(info for info in network.graph.input if info.name not in stored)
    return bool(info.type.tensor_type.shape.dim[0].dim_value == 1)


def _with_users(x: NDArray[Any], info: TensorInfo, users: int) -> NDArray[Any]:
    """Calibration samples with as many users as golden vectors have: theirs again and again."""
    if "k" not in info.shape:
        return x
    axis = info.shape.index("k")
    return np.asarray(np.take(x, np.arange(users) % x.shape[axis], axis))


def _made(plan: Plan, network: onnx.ModelProto, x: Arrays, name: str) -> Arrays:
    """What comes out for x: by the NumPy specification where integers run, else ONNX Runtime's."""
    if has_integers(plan):
        try:
            return run_plan(plan, [x[plan.tensors[i].name] for i in plan.inputs])
        except UnsupportedError:
            # Float steps between the codes: ONNX Runtime has them all.
            pass
    return Oracle(network.SerializeToString(), name=name).run(x)


def _calibration(network: onnx.ModelProto, path: Path | None, option: str) -> Arrays:
    """Inputs for the scales by name: a CSI file where the part takes CSI, else arrays.

    Raises:
        InputError: the network is quantized already, or the file does not fit.
    """
    if is_quantized(network):
        raise InputError(
            f"{option}: the network is quantized already (QuantizeLinear or QONNX); leave the "
            "option out: its scales are kept"
        )
    if path is None:
        raise InputError(
            f"{option} needs --calibration F: CSI, or an array of inputs, that the network will see"
        )
    stored = {tensor.name for tensor in network.graph.initializer}
    inputs = [info for info in network.graph.input if info.name not in stored]
    wanted: dict[str, tuple[tuple[int | str, ...], np.dtype[Any]]] = {}
    for info in inputs:
        kind = info.type.tensor_type
        shape = tuple(dim.dim_param or dim.dim_value for dim in kind.shape.dim[1:])
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        wanted[info.name] = shape, dtype
    if len(wanted) == 1:
        ((name, (shape, dtype)),) = wanted.items()
        fixed = tuple(dim for dim in shape if isinstance(dim, int))
        if fixed == shape and len(shape) == 3 and shape[0] == 2:
            return {name: from_csi(path, fixed)}
    return from_arrays(path, wanted)


def write_c(bundle: Path) -> Path:
    """Write the C of a bundle beside it, from the bundle's own golden vectors: `ue.csib`, `ue-c/`.

    Returns:
        The folder; one that an earlier call made is replaced.

    Raises:
        InputError: the bundle cannot be read, or has no golden vectors.
        FormatError: it is refused; OutputError: the folder is taken or cannot be written.
    """
    folder = bundle.with_name(c_folder.folder_name(bundle.name))
    files = emit_c(read_file(bundle), title=bundle.name)
    with folder_aside(folder, force=True, holding="model.c") as aside:
        c_folder.write_files(aside, files)
    return folder


def read_onnx(path: Path) -> onnx.ModelProto:
    """Load an ONNX file, its external data included.

    Raises:
        InputError: it cannot be read; FormatError: it is no ONNX network.
    """
    read_file(path)
    try:
        model = onnx.load_model(path)
    except Exception as error:
        # protobuf raises DecodeError, onnx raises ValidationError; they share no root.
        raise FormatError(f"{path} is no ONNX network: {str(error).splitlines()[0]}") from error
    if not model.graph.node:
        raise FormatError(f"{path} is no ONNX network: it has no node")
    return model


def random_input(
    info: TensorInfo, samples: int, random: np.random.Generator, users: int = 1
) -> NDArray[Any]:
    """Uniform inputs (samples, ...): floats in [0, 1), the range of CSI inputs, or bytes."""
    sizes = {"n": samples, "k": users}
    shape = tuple(sizes[dim] if isinstance(dim, str) else dim for dim in info.shape)
    if info.dtype == "uint8":
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.random(shape, dtype=np.float32)


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: it is a folder, is not there, or cannot be read.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file in it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from error


def open_bundle(path: Path) -> tuple[bytes, Part]:
    """The bytes of a bundle, and the part that it holds, verified.

    Raises:
        InputError: it cannot be read; FormatError: it is damaged, or no bundle.
    """
    data = read_file(path)
    try:
        return data, Part(data)
    except FormatError as error:
        raise FormatError(f"{path}: {refusal(error)}") from error


def run_file(bundle: Path, data: Path, out: Path, *, progress: Advance = quiet) -> dict[str, Any]:
    """Run a bundle on the arrays of a file, and write what comes out.

    Args:
        bundle: a `.csib`.
        data: `.npy` with the one input, or `.npz` with one array an input, by name.
        out: `.npy` takes the payload, or the only or first output; `.npz` takes all, by name.
        progress: called with samples done and samples in all.

    Raises:
        InputError: a file cannot be read, or an array does not fit.
        OutputError: `out` cannot be written.
    """
    _, part = open_bundle(bundle)
    arrays = [
        _fitted(array, info, data)
        for array, info in zip(_arrays(data, part), part.inputs, strict=True)
    ]
    if len({len(array) for array in arrays}) > 1:
        raise InputError(f"{data}: the inputs differ in their number of samples")
    samples = len(arrays[0])
    pieces = []
    for begin in range(0, max(samples, 1), CHUNK):
        pieces.append(part.run(*(array[begin : begin + CHUNK] for array in arrays)))
        progress(min(begin + CHUNK, samples), samples)
    joined = [np.concatenate(outputs) for outputs in zip(*pieces, strict=True)]
    results = dict(zip([output.name for output in part.outputs], joined, strict=True))
    if out.suffix != ".npz":
        chosen = "payload" if "payload" in results else next(iter(results))
        results = {chosen: results[chosen]}
    stream = io.BytesIO()
    if out.suffix == ".npz":
        np.savez(stream, allow_pickle=False, **results)
    else:
        np.save(stream, next(iter(results.values())))
    with file_aside(out) as sink:
        sink.write(stream.getbuffer())
    return {"out": str(out), "outputs": {name: list(a.shape) for name, a in results.items()}}


def _arrays(path: Path, part: Part) -> list[NDArray[Any]]:
    read_file(path)
    names = [info.name for info in part.inputs]
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            arrays = {names[0]: loaded}
        else:
            with loaded:
                arrays = {name: loaded[name] for name in names if name in loaded}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is no .npy or .npz file of numbers: {error}") from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: give an .npz with one array an input")
    return [arrays[name] for name in names]


def _fitted(array: NDArray[Any], info: TensorInfo, path: Path) -> NDArray[Any]:
    """The array in the input's type, if that loses nothing but float precision."""
    where = f"{path}: input {info.name}"
    if array.ndim != len(info.shape) or any(
        isinstance(want, int) and want != have
        for want, have in zip(info.shape, array.shape, strict=True)
    ):
        raise InputError(
            f"{where} has shape {shape_text(array.shape)}, the part takes {shape_text(info.shape)}"
        )
    target = np.dtype(info.dtype)
    if array.dtype.kind == "f" and target.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(target)
        if not np.isfinite(array).all():
            raise InputError(f"{where} holds NaN, infinity, or a number beyond {target}")
    if array.dtype != target:
        raise InputError(f"{where} is {array.dtype}, the part takes {target}")
    return np.ascontiguousarray(array)


def describe(path: Path) -> dict[str, Any]:
    """All that a bundle says about itself."""
    data, part = open_bundle(path)
    plan = read_bundle(data)
    return {
        "bundle": str(path),
        "bytes": len(data),
        "part": plan.part,
        "side": plan.side,
        "pairing_id": plan.pairing_id.hex(),
        "arena_bytes": plan.arena_bytes,
        "n_max": plan.n_max,
        "k_max": plan.k_max,
        "weights_bytes": len(plan.weights),
        "payload": _payload(plan),
        "metadata": dict(plan.metadata),
        "inputs": [_interface(entry) for entry in part.inputs],
        "outputs": [_interface(entry) for entry in part.outputs],
        "steps": [_step(plan, index) for index in range(len(plan.steps))],
        "tensors": [
            {
                "name": tensor.name,
                "dtype": tensor.dtype.name.lower(),
                "shape": list(tensor.shape),
                "storage": Storage(tensor.storage).name.lower(),
                "place": tensor.place,
                "bytes": tensor.nbytes,
            }
            for tensor in plan.tensors
        ],
    }


def _payload(plan: Plan) -> dict[str, Any] | None:
    layout = plan.payload
    if layout is None:
        return None
    return {
        "layout_id": layout.layout_id,
        "count": layout.count,
        "bits": layout.bits,
        "widths": list(layout.widths),
        "bits_per_sample": layout.payload_bits,
        "bytes_per_sample": layout.nbytes,
    }


def _interface(info: TensorInfo) -> dict[str, Any]:
    return {"name": info.name, "dtype": info.dtype, "shape": list(info.shape)}


def _step(plan: Plan, index: int) -> dict[str, Any]:
    step = plan.steps[index]
    spec = OPS[step.op]
    return {
        "name": step.name,
        "op": step.op.name,
        "inputs": {
            role.rstrip("?"): plan.tensors[i].name
            for role, i in zip(spec.inputs, step.inputs, strict=True)
            if i is not None
        },
        "outputs": {
            role: plan.tensors[i].name for role, i in zip(spec.outputs, step.outputs, strict=True)
        },
        "params": dict(step.params),
    }


def supported_operators() -> dict[str, Any]:
    """The compiler's rule table."""
    from csideploy.export.supported import OPSETS, supported_ops

    return {"opsets": [OPSETS[0], OPSETS[-1]], "operators": supported_ops()}
