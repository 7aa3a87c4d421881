"""Calls of our local functions become operations of the executor.

Each function's definition is in `functions/`; the operation of the same name computes it, without
the unpacking to float that the standard body needs.
"""

from __future__ import annotations

import numpy as np

from csideploy.export.plan import Activation, Op
from csideploy.export.precoder_rules import MOST_FORCED
from csideploy.export.steps.elementwise import Steps
from csideploy.export.steps.site import Site, stored_dtype, stored_shape


def binary_linear(site: Site) -> None:
    """The packed weight as it is."""
    names = [*(site.x(i) for i in range(4)), ""]
    shape = stored_shape(site.out)
    site.result(site.step(Op.BINARY_LINEAR, names, shape, activation=Activation.NONE, alpha=0.0))


def codes(op: Op) -> Steps:
    """The quantizer and the payload packing."""

    def steps(site: Site) -> None:
        shape, dtype = stored_shape(site.out), stored_dtype(site.node, site.out)
        site.result(site.step(op, [site.x(0)], shape, dtype, bits=int(site.attribute("bits"))))

    return steps


def widths_codes(op: Op) -> Steps:
    """The same where each code has its own number of bits: constants as they are.

    A book of halves keeps its bytes: the executor has them as the int16 of the same bits.
    """

    def steps(site: Site) -> None:
        shape, dtype = stored_shape(site.out), stored_dtype(site.node, site.out)
        names = [site.x(0)]
        for index in range(1, len(site.inputs)):
            value = site.value(index)
            data = site.data(index, "input")
            if data.dtype == np.float16:
                names.append(site.constant(data.view(np.int16), value))
            else:
                names.append(site.x(index))
        site.result(site.step(op, names, shape, dtype))

    return steps


def table_precoder(site: Site) -> None:
    """The table as it is; the row's terms are the executor's own business."""
    flags: dict[str, int | float] = {
        name: int(site.attribute(name, 0)) for name in ("bits", "sorted", "per_user")
    }
    names, shape = [site.x(0), site.x(1)], stored_shape(site.out)
    site.result(site.step(Op.TABLE_PRECODER, names, shape, numbers=flags))


def residual_quantize(site: Site) -> None:
    """One step with two results."""
    codes, rest = site.outputs[0], site.outputs[1] if len(site.outputs) > 1 else None
    assert codes is not None
    names = [site.x(0), site.x(1)]
    shape, dtype = stored_shape(codes), stored_dtype(site.node, codes)
    made = site.step(Op.RESIDUAL_QUANTIZE, names, shape, dtype)
    left = site.second(site.shape(names[0]))
    site.result(made)
    if rest is not None:
        site.result(left, 1)


def residual_dequantize(site: Site) -> None:
    """Its bits among those of all tiers."""
    names, shape = [site.x(0), site.x(1)], stored_shape(site.out)
    start = int(site.attribute("start"))
    site.result(site.step(Op.RESIDUAL_DEQUANTIZE, names, shape, start=start))


def zero_forcing(site: Site) -> None:
    """With room for a matrix of the most users: four float32 an entry, a complex double."""
    shape = stored_shape(site.out)
    most = int(shape[1])
    if most == site.graph.user_count:
        most = site.graph.most_users
    if most > MOST_FORCED:
        site.refuse(f"{most} users at most; up to {MOST_FORCED} are supported")
    site.result(site.step(Op.ZERO_FORCING, [site.x(0), site.x(1)], shape))
    site.second((shape[1], 4 * most))
