"""One row for each condition of the verifier's rule for GRADIENT_SEARCH."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from numpy.typing import NDArray
from sound_steps import Operand, Tensor, changed, image

from csideploy.errors import FormatError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.gradient_rules import (
    UnitSizes,
    payload_bytes,
    scratch_floats,
    weight_floats,
)
from csideploy.export.operations import Op
from csideploy.runtime import Part

F32 = np.float32
G = Op.GRADIENT_SEARCH


def real(*shape: Any) -> Tensor:
    return Tensor(("n", *shape), F32)


def fixed(*shape: Any) -> Tensor:
    return Tensor(shape, F32)


def problem(
    *units: tuple[int, int, int], layers: int = 1, streams: int = 0, block: int = 2
) -> tuple[dict[str, Operand], dict[str, Any]]:
    """A sound step; streams 0: every unit for itself."""
    sizes = [UnitSizes(*unit) for unit in units]
    antennas = sum(unit.antennas for unit in sizes)
    width = streams or antennas
    need = scratch_floats(sizes, layers, block, 2 * width, shared=streams > 0)
    operands: dict[str, Operand] = {
        "effective": real(streams, antennas, 2) if streams else None,
        "targets": real(block, width, 2),
        "step": real(),
        "weights": np.zeros(weight_floats(sizes, layers), F32),
        "sizes": np.array(units, np.int32).reshape(-1, 3),
        "payload": image(payload_bytes(sizes, block)),
        "scratch": fixed(need),
    }
    return operands, {"layers": layers, "iterations": 1}


UNITS = ((1, 3, 16), (2, 17, 32))
SOUND: dict[Op, tuple[dict[str, Operand], dict[str, Any]]] = {G: problem(*UNITS, streams=2)}
OPERANDS = SOUND[G][0]
WEIGHTS, SIZES = OPERANDS["weights"], OPERANDS["sizes"]
assert isinstance(WEIGHTS, np.ndarray)
assert isinstance(SIZES, np.ndarray)


def whole(*units: tuple[int, int, int], **how: int) -> dict[str, Any]:
    """All changes that make the sound step another problem."""
    operands, params = problem(*units, **how)
    return {**operands, **params}


ACCEPTED: dict[str, dict[str, Any]] = {
    "as it is": {},
    "alone": whole(*UNITS),
    "linear": whole((1, 3, 0), (2, 17, 0), layers=0, streams=2),
    "two layers": whole(*UNITS, layers=2, streams=2),
    "a whole group": whole((1, 3, 16), block=24),
    "more than a group": whole((1, 3, 16), block=25),
    "the largest block": whole((1, 1, 16), block=65535),
    "one use, narrow": whole((1, 9, 128), block=1),
    "one use, wide": whole((1, 9, 144), block=1),
    "one use, linear": whole((1, 9, 0), block=1, layers=0),
    "32 units": whole(*[(1, 1, 16)] * 32, streams=1),
    "the widest": whole((512, 512, 512), streams=1),
    "512 streams": whole((1, 1, 16), streams=512),
}


def sizes(*row: int) -> NDArray[np.int32]:
    """The second unit's sizes are others; the rest of the step as it was."""
    copy = SIZES.copy()
    copy[1] = row
    return copy


def last(number: float) -> NDArray[np.float32]:
    copy = WEIGHTS.copy()
    copy[-1] = number
    return copy


SHAPE, RANGE = "BAD_SHAPE", "FIELD_RANGE"
VQ = {"effective": None, "targets": real(2, 3, 2)}
ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "targets of rank 3": ({"targets": real(2, 2)}, SHAPE),
    "step of rank 2": ({"step": real(1)}, SHAPE),
    "step's batch": ({"step": fixed(1)}, SHAPE),
    "a block too long": (whole((1, 1, 16), block=65536), SHAPE),
    "symbolic block": ({"targets": real("k", 2, 2)}, SHAPE),
    "no pairs": ({"targets": real(2, 2, 1)}, SHAPE),
    "symbolic antennas": ({**VQ, "targets": real(2, "k", 2)}, SHAPE),
    "effective of rank 3": ({"effective": real(2, 3)}, SHAPE),
    "effective's batch": ({"effective": fixed(1, 2, 3, 2)}, SHAPE),
    "effective's streams": ({"effective": real(3, 3, 2)}, SHAPE),
    "513 streams": (whole((1, 1, 16), streams=513), SHAPE),
    "effective without pairs": ({"effective": real(2, 3, 1)}, SHAPE),
    "effective's antennas": ({"effective": real(2, 4, 2)}, SHAPE),
    "antennas": ({"effective": None, "targets": real(2, 4, 2)}, SHAPE),
    "weights of rank 2": ({"weights": WEIGHTS[None]}, SHAPE),
    "too few weights": ({"weights": WEIGHTS[:-1]}, SHAPE),
    "weights not constant": ({"weights": fixed(len(WEIGHTS))}, "BAD_OPERANDS"),
    "an infinite weight": ({"weights": last(np.inf)}, "FIELD_FLOAT"),
    "a weight that is no number": ({"weights": last(np.nan)}, "FIELD_FLOAT"),
    "sizes of rank 1": ({"sizes": SIZES.reshape(-1)}, SHAPE),
    "sizes of four": ({"sizes": np.ones((2, 4), np.int32)}, SHAPE),
    "sizes of f32": ({"sizes": SIZES.astype(F32)}, "BAD_DTYPE"),
    "33 units": (whole(*[(1, 1, 16)] * 33, streams=1), SHAPE),
    "payload of rank 3": ({"payload": image(12, 1)}, SHAPE),
    "payload's batch": ({"payload": Tensor((1, 12))}, SHAPE),
    "payload's bytes": ({"payload": image(7)}, SHAPE),
    "scratch of rank 2": ({"scratch": fixed(1, 9)}, SHAPE),
    "scratch too small": ({"scratch": fixed(99)}, SHAPE),
    "no antenna": ({"sizes": sizes(0, 17, 32)}, RANGE),
    "513 antennas": ({"sizes": sizes(513, 17, 32)}, RANGE),
    "no bit": ({"sizes": sizes(2, 0, 32)}, RANGE),
    "513 bits": ({"sizes": sizes(2, 513, 32)}, RANGE),
    "no hidden unit": ({"sizes": sizes(2, 17, 0)}, RANGE),
    "528 hidden units": ({"sizes": sizes(2, 17, 528)}, RANGE),
    "hidden units, no multiple of 16": ({"sizes": sizes(2, 17, 24)}, RANGE),
    "hidden units without a layer": ({"layers": 0}, RANGE),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_sound(name: str) -> None:
    Part(changed(SOUND, G, **ACCEPTED[name]))


@pytest.mark.parametrize("name", ROWS)
def test_rule(name: str) -> None:
    changes, status = ROWS[name]
    with pytest.raises(FormatError, match="refused at step 0") as error:
        Part(changed(SOUND, G, **changes))
    assert f"[{status}]" in str(error.value)


def test_parameters_have_limits() -> None:
    for name, value in (("layers", 3), ("iterations", 0), ("iterations", 4097)):
        with pytest.raises(FormatError, match="legal is"):
            changed(SOUND, G, **{name: value})


@pytest.mark.parametrize("place", [0, 16])
def test_payload_and_scratch_apart(place: int) -> None:
    """Two outputs of one step in the arena: on the same bytes, and one behind the other."""
    hand = HandPlan()
    indices: dict[str, int] = {}
    for name, operand in OPERANDS.items():
        if isinstance(operand, np.ndarray):
            indices[name] = hand.constant(name, operand)
        elif operand is not None and name not in ("payload", "scratch"):
            indices[name] = hand.input(name, operand.shape, operand.dtype)
    payload, scratch = OPERANDS["payload"], OPERANDS["scratch"]
    assert isinstance(payload, Tensor)
    assert isinstance(scratch, Tensor)
    found = hand.arena("found", payload.shape, np.uint8)
    need = hand.arena("scratch", scratch.shape, place=place)
    hand.step(G, list(indices.values()), [found, need], layers=1, iterations=1)
    hand.step(Op.COPY, [found], [hand.output("payload", payload.shape, np.uint8)])
    bundle = write_bundle(hand.plan())
    if place:
        Part(bundle)
        return
    with pytest.raises(FormatError, match="BAD_OVERLAP"):
        Part(bundle)
