"""Tables as they are deployed: from a transmitter to the compiled part, over all 64 inputs."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from csideploy.downlink.forms import FORMS, Form, parse_form
from csideploy.downlink.setup import Setup
from csideploy.downlink.tables import (
    Transmit,
    build_table,
    one_column,
    pack_indices,
    restored,
    stored,
    unpack_indices,
)
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.precoder_models import table_precoder_model
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

Array = NDArray[Any]
SETUP = Setup(antennas=4, streams=2, users=2, bits=3)
EVERY = np.array(list(product(range(8), repeat=2)))


def transmitter(*, per_user: bool) -> Transmit:
    """V_k depends on q_k and on the other user's index: the order of users does not matter."""
    entries = np.random.default_rng(1).standard_normal((8, 8, 2, 4, 2), dtype=np.float32)
    axes = (2, 3, 4) if per_user else (3, 4)
    norm = np.sqrt(np.square(entries).sum(axis=axes, keepdims=True))
    entries *= (np.sqrt(np.float32(2)) if per_user else 1) / norm

    def transmit(payload: Array) -> Array:
        q = unpack_indices(SETUP, payload)
        return entries[q, q[:, ::-1]]

    return transmit


def noisy_pads(payload: Array) -> Array:
    """The same messages, their five pad bits at random."""
    pads = np.random.default_rng(2).integers(0, 32, payload.shape).astype(np.uint8)
    assert pads.any()
    return payload | pads


def part_of(form: Form, *, per_user: bool) -> tuple[Part, Oracle, bytes]:
    table = build_table(SETUP, form, transmitter(per_user=per_user), per_user=per_user)
    model = table_precoder_model(
        table,
        users=2,
        streams=2,
        antennas=4,
        bits=3,
        sorted_=form.sorted,
        per_user=per_user,
    )
    bundle = write_bundle(compile_model(model, part="precoder", side="bs"))
    return Part(bundle), Oracle(model.SerializeToString(), name="bs.onnx"), bundle


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_all_inputs(form: Form, per_user: bool) -> None:
    part, oracle, bundle = part_of(form, per_user=per_user)
    # Below 2 kB besides the table (`Form.nbytes`).
    assert 0 < len(bundle) - form.nbytes(SETUP) < 2048
    payload = noisy_pads(pack_indices(SETUP, EVERY))
    (v,) = part.run(payload)
    assert v.shape == (64, 2, 2, 4, 2)
    whole = transmitter(per_user=per_user)(payload)
    if form.values == "fp32":
        columns = whole if form.columns == "full" else one_column(whole)
        np.testing.assert_array_equal(v, np.broadcast_to(columns, v.shape))
    else:
        expected = restored(stored(whole, form, per_user=per_user), SETUP, form, per_user=per_user)
        # A root, a quotient and a product in float32 of numbers up to sqrt(2).
        np.testing.assert_allclose(v, expected, rtol=4 * 2.0**-24, atol=0)
    np.testing.assert_array_equal(v, oracle.run(payload)["V"])
    np.testing.assert_array_equal(v, part.run(pack_indices(SETUP, EVERY))[0])


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("kind", [str(form).split("-", 1)[1] for form in FORMS if form.sorted])
def test_sorted_equals_ordered(kind: str, per_user: bool) -> None:
    payload = noisy_pads(pack_indices(SETUP, EVERY))
    found = [
        part_of(parse_form(f"{order}-{kind}"), per_user=per_user)[0].run(payload)[0]
        for order in ("ordered", "sorted")
    ]
    np.testing.assert_array_equal(found[0], found[1])
    # The other order of the users turns V, and nothing else.
    turned = part_of(parse_form(f"sorted-{kind}"), per_user=per_user)[0].run(payload[:, ::-1])[0]
    np.testing.assert_array_equal(turned, found[0][:, ::-1])


@pytest.mark.parametrize("form", [f for f in FORMS if f.values != "fp32"], ids=str)
def test_integers_stay_near_the_transmitter(form: Form) -> None:
    part, _, _ = part_of(form, per_user=False)
    payload = pack_indices(SETUP, EVERY)
    (v,) = part.run(payload)
    whole = transmitter(per_user=False)(payload)
    columns = np.broadcast_to(whole if form.columns == "full" else one_column(whole), v.shape)
    # Eight numbers a column, each half a step off, a step of top / 127 or top / 7, top <= 1; the
    # norm moves by as much again at most.
    limit = {"int8": 127, "int4": 7}[form.values]
    error = np.linalg.norm((v - columns).reshape(64, 2, 2, 8), axis=-1)
    assert error.max() <= 2 * np.sqrt(8) / (2 * limit)
    assert error.max() > 0
