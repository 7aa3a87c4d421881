"""Plans built by hand, so that the runtime's tests need no compiler."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import (
    OPS,
    Activation,
    Dim,
    DType,
    Op,
    PayloadLayout,
    Plan,
    Step,
    Storage,
    Tensor,
)
from csideploy.runtime import Part

Array = NDArray[Any]


def dtype_code(array_dtype: Any) -> DType:
    return next(d for d in DType if d.numpy == np.dtype(array_dtype))


class HandPlan:
    """Collects tensors and steps; arena tensors are put one after the other, never reused."""

    def __init__(self, *, n_max: int = 1, k_max: int = 1) -> None:
        self.n_max, self.k_max = n_max, k_max
        self.tensors: list[Tensor] = []
        self.steps: list[Step] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.weights = bytearray()
        self.arena_bytes = 0

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def input(self, name: str, shape: tuple[Dim, ...], dtype: Any = np.float32) -> int:
        t = self._add(Tensor(name, dtype_code(dtype), shape, Storage.INPUT, len(self.inputs)))
        self.inputs.append(t)
        return t

    def output(self, name: str, shape: tuple[Dim, ...], dtype: Any = np.float32) -> int:
        t = self._add(Tensor(name, dtype_code(dtype), shape, Storage.OUTPUT, len(self.outputs)))
        self.outputs.append(t)
        return t

    def arena(
        self, name: str, shape: tuple[Dim, ...], dtype: Any = np.float32, place: int | None = None
    ) -> int:
        at = -(-self.arena_bytes // 16) * 16 if place is None else place
        tensor = Tensor(name, dtype_code(dtype), shape, Storage.ARENA, at)
        many = (self.n_max if "n" in shape else 1) * (self.k_max if "k" in shape else 1)
        self.arena_bytes = max(self.arena_bytes, at + tensor.nbytes * many)
        return self._add(tensor)

    def view(self, of: int, name: str, shape: tuple[Dim, ...]) -> int:
        t = self.tensors[of]
        return self._add(Tensor(name, t.dtype, shape, t.storage, t.place))

    def constant(self, name: str, value: Array) -> int:
        self.weights += bytes(-len(self.weights) % 16)
        at = len(self.weights)
        self.weights += value.tobytes()
        return self._add(Tensor(name, dtype_code(value.dtype), value.shape, Storage.WEIGHTS, at))

    def step(self, op: Op, inputs: list[int | None], outputs: list[int], **params: Any) -> None:
        absent = [None] * (len(OPS[op].inputs) - len(inputs))
        name = f"{op.name.lower()}{len(self.steps)}"
        self.steps.append(Step(op, name, (*inputs, *absent), tuple(outputs), params))

    def plan(self, **fields: Any) -> Plan:
        return Plan(
            **{
                "part": "encoder",
                "side": "ue",
                "tensors": tuple(self.tensors),
                "steps": tuple(self.steps),
                "inputs": tuple(self.inputs),
                "outputs": tuple(self.outputs),
                "weights": np.frombuffer(bytes(self.weights), np.uint8),
                "arena_bytes": self.arena_bytes,
                "n_max": self.n_max,
                "k_max": self.k_max,
                **fields,
            }
        )


def run_step(
    op: Op,
    inputs: list[Array | None],
    constants: list[bool],
    out_shape: tuple[int, ...],
    out_dtype: Any = np.float32,
    **params: Any,
) -> Array:
    """Runs one operation; inputs that are not constants have the batch first."""
    hand = HandPlan()
    operands: list[int | None] = []
    arrays = []
    for i, (value, constant) in enumerate(zip(inputs, constants, strict=True)):
        if value is None:
            operands.append(None)
        elif constant:
            operands.append(hand.constant(f"c{i}", value))
        else:
            operands.append(hand.input(f"x{i}", ("n", *value.shape[1:]), value.dtype))
            arrays.append(value)
    y = hand.output("y", ("n", *out_shape[1:]), out_dtype)
    hand.step(op, operands, [y], **params)
    return Part(write_bundle(hand.plan())).run(*arrays)[0]


def micro_plan() -> Plan:
    """A small part that holds every operation, views, in-place steps, several outputs, n_max 2."""
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape).astype(np.float32)

    hand = HandPlan(n_max=2)
    x = hand.input("x", ("n", 2, 3, 4))
    conv = hand.arena("conv", ("n", 2, 3, 4))
    weight = hand.constant("conv.weight", normal(2, 1, 3, 3))
    bias, slope = hand.constant("conv.bias", normal(2)), hand.constant("conv.slope", normal(2))
    hand.step(
        Op.CONV2D,
        [x, weight, bias, slope, x],
        [conv],
        groups=2,
        pad_top=1,
        pad_left=1,
        pad_bottom=1,
        pad_right=1,
        activation=Activation.PRELU,
    )
    # In place: the sum takes the bytes of the convolution's output.
    total = hand.view(conv, "sum", ("n", 2, 3, 4))
    hand.step(Op.ADD, [conv, x], [total], activation=Activation.LEAKY, alpha=0.25)
    both = hand.arena("both", ("n", 4, 3, 4))
    hand.step(Op.CONCAT, [total, x], [both])
    flat = hand.view(both, "flat", ("n", 48))
    tanh = hand.arena("tanh", ("n", 48))
    hand.step(Op.ACTIVATION, [flat], [tanh], activation=Activation.TANH)
    hidden = hand.arena("hidden", ("n", 11))
    hand.step(
        Op.LINEAR,
        [tanh, hand.constant("fc.weight", normal(11, 48)), hand.constant("fc.bias", normal(11))],
        [hidden],
        activation=Activation.RELU,
    )
    feature = hand.arena("feature", ("n", 5))
    signs = hand.constant("bfc.weight", rng.integers(0, 256, (5, 2), np.uint8))
    scale = hand.constant("bfc.scale", np.array([0.3], np.float32))
    hand.step(Op.BINARY_LINEAR, [hidden, signs, scale], [feature], activation=Activation.SIGMOID)
    codes = hand.output("codes", ("n", 5), np.uint8)
    hand.step(Op.QUANTIZE_UNIFORM, [feature], [codes], bits=3)
    payload = hand.output("payload", ("n", 2), np.uint8)
    hand.step(Op.PACK_BITS, [codes], [payload], bits=3)
    again = hand.arena("again", ("n", 5), np.uint8)
    hand.step(Op.UNPACK_BITS, [payload], [again], bits=3)
    value = hand.arena("value", ("n", 5))
    hand.step(Op.DEQUANTIZE_UNIFORM, [again], [value], bits=3)
    y = hand.output("y", ("n", 5, 1))
    hand.step(Op.COPY, [value], [y])
    return hand.plan(
        pairing_id=bytes(range(16)),
        payload=PayloadLayout(0x0103, 5, 3),
        metadata={"system": "micro", "version": "1"},
    )


def micro_bundle() -> bytes:
    x = np.random.default_rng(3).normal(size=(2, 2, 3, 4)).astype(np.float32)
    plan = micro_plan()
    codes, payload, y = Part(write_bundle(plan)).run(x)
    return write_bundle(plan, vectors={"x": x, "codes": codes, "payload": payload, "y": y})
