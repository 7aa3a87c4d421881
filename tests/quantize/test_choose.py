"""The sweep, the choice of bits, and what they are judged by."""

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper
from tiny_networks import chunks, floats, network, residual

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.quantize.choose import Study, noise_judge, promote, settle
from csideploy.export.quantize.prepare import prepare
from csideploy.export.quantize.ranges import Scale
from csideploy.export.quantize.sensitivity import Experiment, cost_db, errors, of_point
from csideploy.onnx_oracle import Arrays, Oracle

LEVEL_DB = -32.0


def study(model: ModelProto | None = None) -> Study:
    return Study(model or residual(), chunks(), trials=2, seed=0)


def judged(made: Study) -> Arrays:
    oracle = Oracle(made.network.model.SerializeToString(), name="float")
    return [oracle.run(part) for part in made.chunks]  # type: ignore[return-value]


def test_the_judge_is_the_formula() -> None:
    exact = {"y": floats(4, 7, seed=1)}
    noisy = {"y": exact["y"] + np.float32(0.01)}
    judge = noise_judge([exact], LEVEL_DB)
    ratio = 1e-4 / exact["y"].var()
    base = 10 ** (LEVEL_DB / 10)
    assert judge(0, exact) == pytest.approx(base)
    cost = cost_db(judge(0, noisy), judge(0, exact))
    assert cost == pytest.approx(10 * np.log10(1 + ratio / base), rel=1e-3)


def test_the_cost_of_a_point_is_that_of_the_qdq_pair() -> None:
    # The last point: no layer follows, so nothing is taken back and brute force is the same.
    prepared = prepare(residual())
    scale = Scale(0.05, 120, 8)
    model = ModelProto()
    model.CopyFrom(prepared.model)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array(0.05, np.float32), "step"))
    graph.initializer.append(numpy_helper.from_array(np.array(120, np.uint8), "zero"))
    next(node for node in graph.node if "y" in node.output).output[0] = "raw"
    ends = ["step", "zero"]
    graph.node.append(helper.make_node("QuantizeLinear", ["raw", *ends], ["q"]))
    graph.node.append(helper.make_node("DequantizeLinear", ["q", *ends], ["y"]))
    brute = Oracle(model.SerializeToString(), name="brute force")
    exact = Oracle(prepared.model.SerializeToString(), name="float")
    x = chunks()
    expected = [exact.run(part) for part in x]

    def judge(index: int, made: Arrays) -> float:
        return float(np.mean((made["y"] - expected[index]["y"]) ** 2)) + 1e-9

    made = Study(residual(), x, trials=2, seed=0)
    point = next(p for p in made.points if p.name == "y")
    experiment = of_point(prepared, point, scale)
    assert not experiment.centred
    found = errors(prepared, [experiment], x, ["y"], judge, advance=lambda: None)
    by_hand = np.mean([judge(i, brute.run(part)) for i, part in enumerate(x)])
    # The network in front runs twice, so that only the order of a float sum could differ.
    assert found["y"] == pytest.approx(float(by_hand), rel=1e-5)
    assert found[""] == pytest.approx(1e-9)


def test_a_point_inside_is_run_to_the_end() -> None:
    prepared = prepare(residual())
    x = chunks()
    exact = Oracle(prepared.model.SerializeToString(), name="float")
    expected = [exact.run(part) for part in x]
    judge = noise_judge(expected, LEVEL_DB)
    tried = [
        Experiment(f"{name} {bits}", (name,), Scale(step, 0, 16))
        for name in ("a1", "c3")
        for bits, step in (("fine", 1e-2), ("coarse", 1.0))
    ]
    found = errors(prepared, tried, x, ["y"], judge, advance=lambda: None)
    for name in ("a1", "c3"):
        fine = found[f"{name} fine"] - found[""]
        coarse = found[f"{name} coarse"] - found[""]
        # A step 100 times as large: noise of 10^4 times the power, as long as it is small.
        assert 3e3 < coarse / fine < 3e4


def test_auto_stays_within_its_budget() -> None:
    made = study()
    expected = judged(made)
    judge = noise_judge(expected, LEVEL_DB)  # type: ignore[arg-type]
    calls: list[int] = []
    made.sweep(["y"], judge, advance=lambda: calls.append(1))
    assert len(calls) >= made.trials_ahead() - 2 * 5

    def loss(models: object) -> float:
        (model,) = models  # type: ignore[misc]
        ran = Oracle(model.SerializeToString(), name="qdq")
        error = np.mean([judge(i, ran.run(part)) for i, part in enumerate(made.chunks)])
        return cost_db(float(error), 10 ** (LEVEL_DB / 10))

    models, lost = settle([made], loss, advance=lambda: None)
    assert loss(models) == pytest.approx(lost)
    rows = {(row.layer, row.kind): row for row in made.rows()}
    wide = [row for row in rows.values() if row.kind == "activation" and row.bits == 16]
    narrow = [row for row in rows.values() if row.kind == "activation" and row.bits == 8]
    assert wide
    assert narrow
    assert all(row.cost_db is not None and row.cost_db <= 0.05 for row in narrow)
    assert rows["node.y", "weight"].cost_db is not None
    all_eight = study()
    (plain,) = (all_eight.model(advance=lambda: None),)
    assert lost < 0.3 * loss([plain])
    assert {row.bits for row in all_eight.rows()} == {8}
    assert {row.cost_db for row in all_eight.rows()} == {None}


def test_the_dearest_are_promoted_first() -> None:
    made = study()
    made.point_costs = {"x": 0.03, "a1": 0.04, "c2": 0.01, "y": -0.2}
    made.bits |= dict.fromkeys(made.point_costs, 8)
    assert not promote([made], spent_db=0.0, budget_db=0.081)
    assert promote([made], spent_db=0.0, budget_db=0.05)
    assert {name for name, bits in made.bits.items() if bits == 16} == {"a1"}
    assert promote([made], spent_db=0.03, budget_db=0.05)
    assert {name for name, bits in made.bits.items() if bits == 16} == {"a1", "x"}


def test_what_cannot_be_quantized() -> None:
    with pytest.raises(InputError, match="quantized already"):
        study(study().model(advance=lambda: None))
    nodes = [helper.make_node("Tanh", ["x"], ["y"])]
    with pytest.raises(UnsupportedError, match="no layer"):
        study(network(nodes, {}, ("n", 2, 6, 6), "y"))
    bad = chunks()
    bad[1][0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        Study(residual(), bad, trials=2, seed=0)


def test_the_same_call_gives_the_same_file() -> None:
    made = [study().model(advance=lambda: None).SerializeToString() for _ in range(2)]
    assert made[0] == made[1]
