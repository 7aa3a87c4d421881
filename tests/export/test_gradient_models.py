"""The plan of a gradient search: its arguments, its cost, its sizes in C."""

from typing import Any

import numpy as np
import pytest
from neural_problems import pairs, problem

from csideploy.errors import InputError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.bundle_write import write_bundle
from csideploy.export.emit_c import emit_c
from csideploy.export.gradient_models import gradient_plan
from csideploy.export.macs import costs
from csideploy.export.plan import Op, PayloadLayout
from csideploy.runtime import Part

SOUND: dict[str, Any] = {"streams": 2, "block": 4, "iterations": 10, "method": "neural-mq"}
NETWORKS = problem([(1, 5, 7), (2, 3, 20)], 1, 2, 4).networks


def test_the_plan_there_and_back() -> None:
    layout = PayloadLayout(0x0101, 40, 1)
    plan = gradient_plan(NETWORKS, **SOUND, payload=layout, metadata={"method": "neural-mq"})
    again = read_bundle(write_bundle(plan))
    assert [step.op for step in again.steps] == [Op.GRADIENT_SEARCH]
    assert (again.part, again.side, again.payload) == ("quantizer", "du", layout)
    part = Part(write_bundle(plan))
    assert [t.name for t in part.inputs] == ["effective", "targets", "step"]
    assert [(t.name, t.shape) for t in part.outputs] == [("payload", ("n", 5))]


def test_every_unit_for_itself() -> None:
    part = Part(write_bundle(gradient_plan(NETWORKS, **{**SOUND, "method": "neural-vq"})))
    assert [(t.name, t.shape) for t in part.inputs] == [
        ("precoded", ("n", 4, 3, 2)),
        ("step", ("n",)),
    ]


def test_costs() -> None:
    """There and back in whole vectors, and G once a block: 2 x (5 x 16 + 16 x 4) and so on."""
    (cost,) = costs(gradient_plan(NETWORKS, **SOUND))
    each = 2 * (5 * 16 + 16 * 4) + 2 * (3 * 32 + 32 * 4)
    assert cost.macs == 4 * 10 * each + 4 * 2 * 16 + 4 * 4 * 32
    (cost,) = costs(gradient_plan(NETWORKS, **{**SOUND, "method": "neural-vq"}))
    assert cost.macs == 4 * 10 * 2 * (5 * 16 + 16 * 2 + 3 * 32 + 32 * 4)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"method": "mq"}, "neural-mq or neural-vq"),
        ({"streams": 0}, "streams = 0"),
        ({"streams": 513}, "streams = 513"),
        ({"block": 65536}, "block"),
        ({"iterations": 4097}, "iterations"),
        ({"max_blocks": 0}, "max_blocks"),
        ({"pairing_id": b"short"}, "pairing id"),
        ({"payload": PayloadLayout(0x0101, 9, 1)}, "2 bytes a block"),
        ({"networks": []}, "0 networks"),
        ({"networks": NETWORKS * 17}, "34 networks"),
        ({"networks": problem([(1, 513, 2)], 1, 1, 1).networks}, "bits = 513"),
        ({"networks": problem([(1, 2, 2)], 3, 1, 1).networks}, "3 hidden layers"),
        ({"networks": [*NETWORKS, *problem([(1, 2, 2)], 0, 1, 1).networks]}, "network 2 has 0"),
    ],
)
def test_what_fits_no_part(changes: dict[str, Any], match: str) -> None:
    how = {"networks": NETWORKS, **SOUND, **changes}
    with pytest.raises(InputError, match=match):
        gradient_plan(how.pop("networks"), **how)


def test_emitted_c_has_what_it_calls() -> None:
    p = problem([(1, 5, 7)], 1, 2, 4)
    plan = gradient_plan(p.networks, **SOUND)
    inputs = [pairs(p.effective)[None], pairs(p.targets)[None], np.array([p.step], np.float32)]
    (payload,) = Part(write_bundle(plan)).run(*inputs)
    names = ("effective", "targets", "step", "payload")
    vectors = dict(zip(names, (*inputs, payload), strict=True))
    files = emit_c(write_bundle(plan), title="search", vectors=vectors)
    for name in ("reference/gradient_search.c", "reference/products.c", "vectors.h", "products.h"):
        assert f"kernels/{name}" in files
