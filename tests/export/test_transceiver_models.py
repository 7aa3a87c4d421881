"""The networks of rvq-egat as parts: torch, ONNX Runtime and the bundle agree."""

from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto

from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.integer.run import check_steps
from csideploy.export.plan import Op
from csideploy.export.transceiver_models import encoder_model, precoder_model
from csideploy.onnx_oracle import Session
from csideploy.quantize import quantize_part
from csideploy.runtime import Part
from csideploy.systems.rvq_egat import Transceiver, Widths
from csideploy.transceiver import Setup

Array = Any
FORMS = [(form, anchor) for form in ("edge", "node") for anchor in ("none", "rzf")]
WITHIN = 1e-4
"""conventions.md, "Within"; what is seen is below 2e-7 but for the float32 solve of torch."""
MOST = 8


def off(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max() / max(1, np.abs(b).max()))


@cache
def transceiver(form: str, anchor: str, antennas: int = 4, feature: int = 12) -> Transceiver:
    """Random weights, statistics of the batch norms and shares of the loading."""
    torch.manual_seed(7)
    setup = Setup(antennas=antennas, pilots=3, feature=feature, tiers=(2,))
    widths = Widths(
        extractor=(20, 17), form=form, start=(24, 20), layers=2, end=18, anchor=anchor,
        alpha=0.3, beta=0.7,
    )  # fmt: skip
    made = Transceiver(setup, widths)
    with torch.no_grad():
        for name, array in made.state_dict().items():
            if name.endswith("running_var"):
                array.uniform_(0.2, 3)
            elif name.endswith(("running_mean", "anchor.share", "bias", "end.1.weight")):
                array.normal_(std=0.4)
    return made.eval()


def state_of(made: Transceiver) -> dict[str, Array]:
    return {name: array.detach().numpy() for name, array in made.state_dict().items()}


@cache
def precoder(form: str, anchor: str) -> ModelProto:
    made = transceiver(form, anchor)
    widths = made.widths
    return precoder_model(
        state_of(made), antennas=4, form=form, layers=2, alpha=widths.alpha, beta=widths.beta,
        anchor=anchor,
    )  # fmt: skip


@cache
def bundle(form: str, anchor: str, n_max: int) -> Part:
    plan = compile_model(precoder(form, anchor), part="p", side="bs", k_max=MOST, n_max=n_max)
    return Part(write_bundle(plan))


def inputs(n: int, users: int, feature: int = 12) -> tuple[Array, Array]:
    random = np.random.default_rng([n, users])
    v = np.tanh(random.normal(size=(n, users, feature))).astype(np.float32)
    return v, random.uniform(-5, 25, (n, 1)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("users", [1, 2, 3, 8])
@pytest.mark.parametrize(("form", "anchor"), FORMS)
def test_precoder(form: str, anchor: str, users: int, n: int) -> None:
    v, snr = inputs(n, users)
    with torch.no_grad():
        wanted = transceiver(form, anchor).graph(torch.tensor(v), torch.tensor(snr)).numpy()
    made = Session(precoder(form, anchor).SerializeToString(), name="precoder")
    (w,) = made.run({"feature": v, "snr_db": snr}).values()
    assert w.shape == (n, users, 4, 2)
    assert off(w, wanted) <= WITHIN
    for n_max in (1, 4):
        assert off(bundle(form, anchor, n_max).run(v, snr)[0], w) <= WITHIN
    np.testing.assert_allclose((w.astype(float) ** 2).sum((1, 2, 3)), 1, atol=1e-6)


@pytest.mark.parametrize(("form", "anchor"), FORMS)
def test_users_and_antennas_may_change_places(form: str, anchor: str) -> None:
    """Users in both forms, antennas with their pieces of the feature in the edge form."""
    state = state_of(transceiver(form, anchor))
    model = precoder_model(state, antennas=4, form=form, layers=2, anchor=anchor)
    part = Part(write_bundle(compile_model(model, part="p", side="bs")))
    v, snr = inputs(3, 5)
    (w,) = part.run(v, snr)
    users, antennas = np.array([3, 1, 4, 0, 2]), np.array([2, 0, 3, 1])
    # Sums in another order: some roundings of float32.
    np.testing.assert_allclose(part.run(v[:, users], snr)[0], w[:, users], atol=1e-5)
    if form == "edge":
        pieces = np.ascontiguousarray(v.reshape(3, 5, 4, 3)[:, :, antennas]).reshape(v.shape)
        np.testing.assert_allclose(part.run(pieces, snr)[0], w[:, :, antennas], atol=1e-5)


def test_the_number_of_users_is_no_constant() -> None:
    """Nothing of the file but the inputs' and the output's axis knows them."""
    for form, anchor in FORMS:
        model = precoder(form, anchor)
        onnx.checker.check_model(model, full_check=True)
        shapes = [
            [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]
            for info in (*model.graph.input, *model.graph.output)
        ]
        assert shapes == [["n", "k", 12], ["n", 1], ["n", "k", 4, 2]]


def test_one_attention_a_layer() -> None:
    plan = compile_model(precoder("edge", "rzf"), part="p", side="bs")
    ops = [step.op for step in plan.steps]
    assert ops.count(Op.EDGE_ATTENTION) == 2
    assert ops.count(Op.ZERO_FORCING) == 1
    # The start and the SNR's column, five functions a layer, the end and its gain, the anchor.
    assert ops.count(Op.LINEAR) == 3 + 2 * 5 + 3 + 3
    assert Op.TRANSPOSE not in ops
    assert Op.EXPAND not in ops


@pytest.mark.parametrize("n", [1, 5])
def test_encoder(n: int) -> None:
    made = transceiver("edge", "none")
    model = encoder_model(state_of(made))
    onnx.checker.check_model(model, full_check=True)
    y = np.random.default_rng(n).normal(size=(n, 3, 2)).astype(np.float32)
    with torch.no_grad():
        wanted = made.extractor(torch.tensor(y)).numpy()
    theirs = Session(model.SerializeToString(), name="encoder").run({"y": y})["feature"]
    assert off(theirs, wanted) <= WITHIN
    plan = compile_model(model, part="encoder", side="ue", n_max=4)
    assert [s.op for s in plan.steps] == [Op.LINEAR, Op.UNARY, Op.LINEAR, Op.UNARY, Op.LINEAR]
    assert off(Part(write_bundle(plan)).run(y)[0], theirs) <= WITHIN


def changed(name: str, array: Any, form: str = "edge", anchor: str = "rzf") -> dict[str, Array]:
    state = state_of(transceiver(form, anchor))
    assert name in state
    if array is None:
        del state[name]
    else:
        state[name] = array
    return state


def test_what_a_precoder_must_be() -> None:
    state = state_of(transceiver("edge", "rzf"))
    how: dict[str, Any] = {"antennas": 4, "layers": 2, "anchor": "rzf"}
    for changes, why in (
        ({"form": "star"}, "form 'star'"),
        ({"anchor": "zf"}, "anchor 'zf'"),
        ({"antennas": 0}, "0 antennas"),
        ({"layers": -1}, "-1 layers"),
        ({"beta": np.nan}, "beta nan"),
        ({"antennas": 4, "form": "node"}, r"start.0.weight \(24, 6\) fits no feature"),
        ({"layers": 3}, "no array 'graph.layers.2.weight'"),
        ({"anchor": "none"}, r"graph.end.1.weight float32 \(3, 18\); floats \(2, 18\)"),
    ):
        with pytest.raises(InputError, match=why):
            precoder_model(state, **{**how, **changes})
    for name, array, why in (
        ("graph.anchor.level", None, "no array 'graph.anchor.level'"),
        ("graph.anchor.share", np.zeros(11, "f4"), r"\(11,\); floats \(3\) are right"),
        ("graph.layers.1.bias", np.zeros((100, 1), "f4"), r"floats \(100\) are right"),
        ("graph.end.0.bias", np.zeros(18, int), "end.0.bias int64"),
        ("graph.end.0.bias", np.full(18, np.inf), "a number is not finite"),
        ("graph.end.0.bias", np.full(18, 1e300), "not finite in float32"),
    ):
        with pytest.raises(InputError, match=why):
            precoder_model(changed(name, array), **how)


def test_what_an_encoder_must_be() -> None:
    for name, array, why in (
        ("extractor.net.6.weight", None, "no array 'extractor.net.6.weight'"),
        ("extractor.net.0.weight", np.zeros((20, 5), "f4"), r"2 L inputs are right"),
        ("extractor.net.3.weight", np.zeros((17, 19), "f4"), r"floats \(any, 20\)"),
        ("extractor.net.4.running_var", np.full(17, -1.0), "a variance below 0"),
    ):
        with pytest.raises(InputError, match=why):
            encoder_model(changed(name, array))


def db(a: Array, b: Array) -> float:
    return float(10 * np.log10(np.mean((a - b).astype(float) ** 2) / np.mean(b.astype(float) ** 2)))


@pytest.mark.parametrize("precision", ["int8", "auto"])
@pytest.mark.parametrize(("form", "anchor"), FORMS)
def test_precoder_in_integers(form: str, anchor: str, precision: str) -> None:
    """What the inverse reads, attention and the power stay float; the layers are integers."""
    model = precoder(form, anchor)
    chunks = [dict(zip(("feature", "snr_db"), inputs(40, k), strict=True)) for k in (2, 3, 8)]
    made = quantize_part(model, chunks, precision=precision, seed=0).models[""]
    plan = compile_model(onnx.load_model_from_string(made), part="p", side="bs", k_max=MOST)
    ops = [step.op for step in plan.steps]
    anchored = anchor == "rzf"
    assert ops.count(Op.LINEAR) == 3 * anchored
    assert ops.count(Op.QLINEAR) == 3 + 2 * (5 if form == "edge" else 4) + 2 + anchored
    part, (v, snr) = Part(write_bundle(plan)), inputs(50, 4)
    feeds = {"feature": v, "snr_db": snr}
    (whole,) = Session(model.SerializeToString(), name="float").run(feeds).values()
    (theirs,) = Session(made, name="int8").run(feeds).values()
    (w,) = part.run(v, snr)
    # Float steps between integer ones differ in their last bits, so a code may fall to either side.
    assert db(w, theirs) < -60
    assert db(w, whole) < -35
    traced = [outputs[0] for _, outputs in part.trace(v[:1], snr[:1])]
    compared, wrong = check_steps(plan, [v[:1], snr[:1]], traced)
    assert (compared >= ops.count(Op.QLINEAR), wrong) == (True, "")


def test_encoder_in_integers() -> None:
    made = transceiver("edge", "none")
    model = encoder_model(state_of(made))
    random = np.random.default_rng(8)
    chunks = [random.normal(size=(100, 3, 2)).astype(np.float32) for _ in range(3)]
    coded = quantize_part(model, chunks, precision="int8", seed=0).models[""]
    plan = compile_model(onnx.load_model_from_string(coded), part="p", side="ue")
    assert Op.LINEAR not in [step.op for step in plan.steps]
    y = random.normal(size=(200, 3, 2)).astype(np.float32)
    whole = Session(model.SerializeToString(), name="float").run({"y": y})["feature"]
    theirs = Session(coded, name="int8").run({"y": y})["feature"]
    (feature,) = Part(write_bundle(plan)).run(y)
    assert db(feature, theirs) < -60
    assert db(feature, whole) < -25
