"""Bundles of one fully connected layer each, of whole and of broken sizes, for isa_driver.c."""

from collections.abc import Iterator

import numpy as np
from hand_plan import HandPlan
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op

# Inputs and outputs: beside the lengths of groups, steps, tiles, strips, chunks and panels.
SIZES = [(5, 3), (64, 32), (77, 131), (513, 33), (1024, 64), (1033, 160), (2079, 20), (90, 1100)]
LIMITS = {"low": -32768, "high": 32767}


def binary_layers(rng: np.random.Generator) -> Iterator[bytes]:
    """BINARY_LINEAR; three samples."""
    for inputs, outputs in SIZES:
        hand = HandPlan(n_max=3)
        operands = [hand.input("x", ("n", inputs))]
        operands.append(hand.constant("w", _signs(rng, inputs, outputs)))
        for name, count in (("s", outputs if inputs % 2 else 1), ("b", outputs)):
            operands.append(hand.constant(name, rng.normal(size=count).astype(np.float32)))
        y = hand.output("y", ("n", outputs))
        hand.step(Op.BINARY_LINEAR, operands, [y], activation=Activation.RELU)
        yield write_bundle(hand.plan())


def integer_layers(rng: np.random.Generator) -> Iterator[bytes]:
    """QBINARY_LINEAR and QLINEAR of each type; 16-bit numbers of four magnitudes."""
    for number, (inputs, outputs) in enumerate(SIZES):
        for x_type, zero in ((np.uint8, 7), (np.int8, -128), (np.int16, -3)):
            for most in (100, 5000, 16000, 32767) if x_type is np.int16 else (127,):
                for op in (Op.QBINARY_LINEAR, Op.QLINEAR):
                    hand = HandPlan(n_max=3)
                    x = hand.arena("q", ("n", inputs), x_type)
                    start = hand.input("x", ("n", inputs))
                    hand.step(Op.QUANTIZE, [start], [x], scale=1 / most, zero=zero)
                    weights = (
                        _signs(rng, inputs, outputs)
                        if op is Op.QBINARY_LINEAR
                        else rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
                    )
                    operands: list[int | None] = [x, hand.constant("w", weights)]
                    bias = rng.integers(-9999, 9999, outputs).astype(np.int32)
                    operands.append(hand.constant("b", bias) if number % 2 else None)
                    # What makes most sums codes that are within the limits, and differ.
                    size = most * np.sqrt(inputs) * (1 if op is Op.QBINARY_LINEAR else 70)
                    scales = rng.uniform(2000, 9000, outputs) / size
                    operands.append(hand.constant("m", scales.astype(np.float32)))
                    y = hand.output("y", ("n", outputs), np.int16)
                    hand.step(op, operands, [y], x_zero=zero, y_zero=5, **LIMITS)
                    yield write_bundle(hand.plan())


def largest_sums() -> Iterator[bytes]:
    """Numbers that are all x = -zero, times weights of one sign: the largest sums; and times
    those of which one or three in four are 1: sums of four whose low bits are all 1."""
    inputs, outputs = 2048, 40
    fours = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], np.uint8)
    ones = np.tile(fours, (outputs // 4, inputs // 4))
    for x_type, zero in (
        *((np.uint8, zero) for zero in (255, 254, 253)),
        *((np.int8, zero) for zero in (-128, 127)),
        # Beside the least that no table of words has.
        *((np.int16, zero) for zero in (300, -300, 16382, -16381, -16382, -16383, 32767, -32768)),
    ):
        for op in (Op.QBINARY_LINEAR, Op.QLINEAR):
            hand = HandPlan(n_max=2)
            none = hand.arena("q", ("n", inputs), x_type)
            hand.step(Op.CAST, [hand.input("x", ("n", inputs))], [none])
            binary = op is Op.QBINARY_LINEAR
            weights = np.packbits(ones, 1) if binary else np.where(ones, 127, -127).astype(np.int8)
            scale = 30000 / (inputs * abs(zero) * (1 if binary else 127))
            operands: list[int | None] = [none, hand.constant("w", weights), None]
            operands.append(hand.constant("m", np.full(outputs, scale, np.float32)))
            y = hand.output("y", ("n", outputs), np.int16)
            hand.step(op, operands, [y], x_zero=zero, y_zero=5, **LIMITS)
            yield write_bundle(hand.plan())


def _signs(rng: np.random.Generator, inputs: int, outputs: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (outputs, -(-inputs // 8)), np.uint8)
