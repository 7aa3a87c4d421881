"""Plan -> the bytes of a bundle (.csib), by the table in `bundle_fields`."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError
from csideploy.export import bundle_fields as bf
from csideploy.export.operation_rules import ParamKind, param_rules
from csideploy.export.plan import OPS, Dim, Plan, Step, Storage, Tensor


def write_bundle(plan: Plan, *, vectors: Mapping[str, NDArray[np.generic]] | None = None) -> bytes:
    """The bundle of a plan.

    Args:
        plan: the part, with every tensor in its place.
        vectors: golden vectors, by the name of an input or output; the first dimension is the
            sample, and there are k_max users.

    Raises:
        FormatError: the plan cannot be written: a parameter is missing or out of range, a tensor
            is read that no step writes, the arena is not exact, a vector fits no tensor.
    """
    names = _Names()
    sections = {
        "tensors": _tensors(plan, names),
        "steps": b"",
        "operands": b"",
        "params": b"",
        "interface": _interface(plan),
        "weights": np.ascontiguousarray(plan.weights, np.uint8).tobytes(),
    }
    sections |= _steps(plan, names)
    if plan.payload is not None:
        layout = plan.payload
        sections["payload"] = bf.PAYLOAD.pack(
            {
                "layout_id": layout.layout_id,
                "count": layout.count,
                "bits": layout.bits,
                "nbytes": layout.nbytes,
            }
        )
    if plan.metadata:
        sections["metadata"] = b"".join(
            bf.METADATA.pack({"key": names(key), "value": names(value)})
            for key, value in plan.metadata.items()
        )
    if vectors:
        sections |= _vectors(plan, vectors)
    _check_arena(plan)
    part, side = names(plan.part), names(plan.side)
    sections["names"] = names.data()
    return _assemble(plan, sections, part, side)


class _Names:
    """The string table: each string once; a call gives its offset."""

    def __init__(self) -> None:
        self._offsets: dict[str, int] = {}
        self._data = bytearray()

    def __call__(self, text: str) -> int:
        if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text):
            raise FormatError(f"name {text!r}: control characters cannot be stored in a bundle")
        if text not in self._offsets:
            self._offsets[text] = len(self._data)
            self._data += text.encode("utf-8") + b"\0"
        return self._offsets[text]

    def data(self) -> bytes:
        return bytes(self._data)


def _dim(dim: Dim) -> int:
    if isinstance(dim, str):
        if dim not in ("n", "k"):
            raise FormatError(f"dimension {dim!r}: the symbols are 'n' and 'k'")
        return bf.DIM_N if dim == "n" else bf.DIM_K
    return dim


def _same_bytes(a: Tensor, b: Tensor) -> bool:
    def extent(t: Tensor) -> tuple[object, ...]:
        return t.storage, t.place, t.dtype, t.nbytes, t.shape.count("n"), t.shape.count("k")

    return extent(a) == extent(b)


def _producers(plan: Plan) -> list[int]:
    """For each tensor the step that writes its bytes; NONE for inputs and weights.

    A view (a reshape) has no step of its own: it belongs to the last step that wrote the same
    bytes before the view is first read.
    """
    own = {t: s for s, step in enumerate(plan.steps) for t in step.outputs}
    first_read: dict[int, int] = {}
    for s, step in enumerate(plan.steps):
        for t in step.inputs:
            if t is not None:
                first_read.setdefault(t, s)
    out = []
    for index, tensor in enumerate(plan.tensors):
        if tensor.storage in (Storage.INPUT, Storage.WEIGHTS):
            out.append(bf.NONE)
        elif index in own:
            out.append(own[index])
        else:
            before = first_read.get(index, len(plan.steps))
            writers = [
                s for t, s in own.items() if s < before and _same_bytes(plan.tensors[t], tensor)
            ]
            if not writers:
                raise FormatError(f"tensor {tensor.name!r}: no earlier step writes its bytes")
            out.append(max(writers))
    return out


def _tensors(plan: Plan, names: _Names) -> bytes:
    out = b""
    for tensor, producer in zip(plan.tensors, _producers(plan), strict=True):
        if not 1 <= len(tensor.shape) <= bf.MAX_RANK:
            rank = len(tensor.shape)
            raise FormatError(
                f"tensor {tensor.name!r}: rank {rank}, a bundle stores 1 to {bf.MAX_RANK}"
            )
        dims = tuple(_dim(d) for d in tensor.shape)
        try:
            out += bf.TENSOR.pack(
                {
                    "name": names(tensor.name),
                    "dtype": int(tensor.dtype),
                    "storage": int(tensor.storage),
                    "rank": len(dims),
                    "reserved": 0,
                    "place": tensor.place,
                    "nbytes": tensor.nbytes,
                    "dims": dims + (0,) * (bf.MAX_RANK - len(dims)),
                    "producer": producer,
                    "reserved2": 0,
                }
            )
        except struct.error as error:
            raise FormatError(f"tensor {tensor.name!r}: does not fit its record: {error}") from None
    return out


def _params(step: Step) -> list[int]:
    unknown = set(step.params) - set(OPS[step.op].params)
    if unknown:
        raise FormatError(f"step {step.name!r}: {step.op.name} has no parameter {min(unknown)!r}")
    words = []
    for name, rule in param_rules(step.op):
        value = step.params.get(name, rule.default)
        if value is None:
            raise FormatError(f"step {step.name!r}: {step.op.name} needs parameter {name!r}")
        if rule.kind.type == "f32":
            with np.errstate(over="ignore"):
                bits = np.float32(value)
            if not np.isfinite(bits):
                raise FormatError(f"step {step.name!r}: {name} = {value} is not finite")
            if rule.kind is ParamKind.F32_POSITIVE and not bits > 0:
                raise FormatError(f"step {step.name!r}: {name} = {value} is not above 0")
            words.append(int(bits.view(np.uint32)))
        else:
            if int(value) != value or not rule.lo <= value <= rule.hi:
                raise FormatError(
                    f"step {step.name!r}: {name} = {value}, legal is {rule.lo}..{rule.hi}"
                )
            words.append(int(value) & 0xFFFFFFFF)
    return words


def _steps(plan: Plan, names: _Names) -> dict[str, bytes]:
    steps = b""
    operands: list[int] = []
    params: list[int] = []
    if len(plan.steps) > bf.MAX_STEPS:
        raise FormatError(
            f"part {plan.part!r}: {len(plan.steps)} steps, a bundle holds at most {bf.MAX_STEPS}"
        )
    for step in plan.steps:
        spec = OPS[step.op]
        if len(step.inputs) != len(spec.inputs) or len(step.outputs) != len(spec.outputs):
            raise FormatError(
                f"step {step.name!r}: {step.op.name} takes {len(spec.inputs)} inputs and "
                f"{len(spec.outputs)} outputs, None for an absent one"
            )
        words = _params(step)
        steps += bf.STEP.pack(
            {
                "op": int(step.op),
                "name": names(step.name),
                "operand_first": len(operands),
                "input_count": len(step.inputs),
                "output_count": len(step.outputs),
                "param_first": len(params),
                "param_count": len(words),
            }
        )
        operands += [bf.NONE if t is None else t for t in (*step.inputs, *step.outputs)]
        params += words
    return {
        "steps": steps,
        "operands": struct.pack(f"<{len(operands)}I", *operands),
        "params": struct.pack(f"<{len(params)}I", *params),
    }


def _interface(plan: Plan) -> bytes:
    rows = [(1, t) for t in plan.inputs] + [(2, t) for t in plan.outputs]
    return b"".join(bf.INTERFACE.pack({"direction": d, "tensor": t}) for d, t in rows)


def _vectors(plan: Plan, vectors: Mapping[str, NDArray[np.generic]]) -> dict[str, bytes]:
    indices = {plan.tensors[t].name: t for t in (*plan.inputs, *plan.outputs)}
    table, data = b"", b""
    for name, array in vectors.items():
        if name not in indices:
            raise FormatError(f"golden vector {name!r}: the part has {sorted(indices)}")
        tensor = plan.tensors[indices[name]]
        # At k = 1 no user meets another.
        shape = tuple(plan.k_max if d == "k" else d for d in tensor.shape[1:])
        if tensor.shape[0] != "n" or array.shape[1:] != shape or array.dtype != tensor.dtype.numpy:
            raise FormatError(
                f"golden vector {name!r}: {array.dtype} {array.shape}, the part has "
                f"{tensor.dtype.name.lower()} {tensor.shape}"
            )
        raw = array.astype(tensor.dtype.numpy).tobytes()
        table += bf.VECTOR.pack(
            {
                "tensor": indices[name],
                "samples": array.shape[0],
                "offset": len(data),
                "length": len(raw),
            }
        )
        data += raw + bytes(-len(raw) % bf.ALIGN)
    return {"vectors": table, "vector_data": data}


def _check_arena(plan: Plan) -> None:
    def end(t: Tensor) -> int:
        many = (plan.n_max if "n" in t.shape else 1) * (plan.k_max if "k" in t.shape else 1)
        return t.place + t.nbytes * many

    need = max((end(t) for t in plan.tensors if t.storage is Storage.ARENA), default=0)
    if not need <= plan.arena_bytes < need + bf.ALIGN:
        raise FormatError(
            f"part {plan.part!r}: arena_bytes is {plan.arena_bytes}, its tensors end at {need}"
        )


def _assemble(plan: Plan, sections: dict[str, bytes], part: int, side: int) -> bytes:
    present = [s for s in bf.SECTIONS if s.name in sections]
    at = bf.HEADER.size + bf.SECTION.size * len(present)
    directory, body = b"", list[bytes]()
    for section in present:
        data = sections[section.name]
        directory += bf.SECTION.pack(
            {
                "id": section.id,
                "flags": bf.SECTION_REQUIRED if section.required else 0,
                "offset": at,
                "length": len(data),
                "count": len(data) // section.record.size,
                "crc": zlib.crc32(data),
            }
        )
        pad = bytes(-len(data) % bf.ALIGN)
        body += [data, pad]
        at += len(data) + len(pad)
    try:
        header = bf.HEADER.pack(
            {
                "magic": bf.MAGIC,
                "major": bf.MAJOR,
                "minor": bf.MINOR,
                "total_size": at,
                "header_size": bf.HEADER.size,
                "section_count": len(present),
                "arena_bytes": plan.arena_bytes,
                "arena_align": bf.ALIGN,
                "n_max": plan.n_max,
                "k_max": plan.k_max,
                "flags": 0,
                "part": part,
                "side": side,
                "pairing_id": tuple(plan.pairing_id),
                "reserved": 0,
                "header_crc": 0,
            }
        )
    except struct.error as error:
        raise FormatError(f"part {plan.part!r}: does not fit the header: {error}") from None
    covered = header[: bf.HEADER.offset("header_crc")]
    crc = zlib.crc32(directory, zlib.crc32(covered))
    return b"".join([covered, crc.to_bytes(4, "little"), directory, *body])
