"""Bundles of one CONV_BLOCK each, with integers in all three convolutions, for isa_driver.c."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from hand_plan import HandPlan

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op

GROUPS, SIDE = 3, 32
KERNELS = ((1, 9), (7, 7), (9, 1))


def blocks_of_integers(rng: np.random.Generator) -> Iterator[bytes]:
    """The field's shape, whole and odd numbers of channels a group, codes of 8 and 16 bits. Scales
    are powers of two and numbers near theirs, so that multipliers are divided beforehand; and once
    a scale that is none."""
    for bits, code_scale in ((8, 2.0**-5), (8, 2.0**3), (16, 2.0**-13), (16, 2.0**-3), (8, 0.03)):
        for per_group in (2, 3):
            wide = GROUPS * per_group
            sizes = ((wide, 2), (wide, per_group), (2, wide))
            weights = [
                rng.integers(-most, most + 1, (*size, *kernel)).astype(dtype)
                for size, kernel, most, dtype in zip(
                    sizes, KERNELS, (32767, 127, 32767), (np.int16, np.int8, np.int16), strict=True
                )
            ]
            # Of codes, weights and how many products: what brings v to 40 codes, and m to 2^10.
            most = 40 * code_scale * (1 if bits == 8 else 256)
            channels = rng.normal(size=(6, wide)) * most / 4
            channels[[1, 3]] = rng.normal(size=(2, wide))
            channels[4] = 2.0**-2 / (70 * 10 * rng.uniform(1, 9, wide) * (1 if bits == 8 else 256))
            channels[5] = most / (1e8 * rng.uniform(1, 3, wide))
            channels[2] = rng.normal(size=wide) / 8
            hand = HandPlan(n_max=2)
            held = [weights[0], channels.astype(np.float32), *weights[1:]]
            operands: list[int | None] = [hand.input("x", ("n", 2, SIDE, SIDE))]
            operands += [hand.constant(f"c{i}", a) for i, a in enumerate(held)]
            made = [hand.output("y", ("n", 2, SIDE, SIDE))]
            made.append(hand.arena("scratch", (2 * per_group * SIDE * SIDE,)))
            how: dict[str, Any] = {"groups": GROUPS, "code_scale": code_scale, "code_bits": bits}
            how |= {"code_zero": 128 if bits == 8 else 0, "x_scale": 2.0**-15}
            how |= {"m_scale": 2.0**-10, "y_scale": 1e-9}
            for i, (rows, columns) in enumerate(KERNELS, 1):
                how |= {f"pad_top_{i}": rows // 2, f"pad_left_{i}": columns // 2}
            hand.step(Op.CONV_BLOCK, operands, made, **how)
            yield write_bundle(hand.plan())
