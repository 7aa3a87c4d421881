"""Receiver and transmitter: sizes, order of users, and what leaves for ONNX and for bundles."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from csideploy import precoders
from csideploy.downlink import Setup, dft_pilots, observe, rayleigh
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.quantizers.sign import sign, straight_through
from csideploy.runtime import Part
from csideploy.systems.kd_export import export_receiver, export_transmitter
from csideploy.systems.kd_precoder import KdPrecoder, Options

PAPER = Setup()
SMALL = Setup(antennas=4, streams=2, users=2, bits=3, pilots=4)
WIDE = Setup(antennas=4, streams=1, users=3, bits=10, pilots=5)
"""Two bytes a user."""


def made(setup: Setup, options: Options | None = None, seed: int = 0) -> KdPrecoder:
    """Random weights, biases too, so that nothing hides behind a zero."""
    torch.manual_seed(seed)
    precoder = KdPrecoder(setup, options)
    with torch.no_grad():
        for name, parameter in precoder.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    return precoder.eval()


def feedback(setup: Setup, count: int, seed: int = 0) -> torch.Tensor:
    """Random signs (n, K, B); some users send the same."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (count, setup.users, setup.bits))
    bits[: count // 4, -1] = bits[: count // 4, 0]
    return torch.from_numpy(2.0 * bits - 1).float()


@pytest.mark.parametrize("setup", [PAPER, SMALL, WIDE])
@pytest.mark.parametrize("power_input", [False, True])
def test_sizes(setup: Setup, power_input: bool) -> None:
    precoder = made(setup, Options(power_input=power_input))
    counted = {
        "receiver": sum(p.numel() for p in precoder.receivers[0].parameters()),
        "transmitter": sum(p.numel() for p in precoder.transmitter.parameters()),
    }
    assert counted == precoders.parameters(setup, power_input=power_input)
    biases = sum(precoders.transmitter_sizes(setup)[1:])
    macs = precoders.macs(setup, power_input=power_input)
    assert macs["transmitter"] == counted["transmitter"] - biases
    # Two operations a MAC, less the addition that each output saves.
    outputs = sum(precoders.receiver_sizes(setup)[1:])
    assert precoders.receiver_flops(setup) == 2 * macs["receiver"] - outputs
    if setup == PAPER and not power_input:
        assert counted == {"receiver": 484_646, "transmitter": 7_737_088}
        assert precoders.receiver_flops(setup) == 964_954


def test_sign() -> None:
    u = torch.tensor([-2.0, -1e-30, -0.0, 0.0, 1e-30, 3.0])
    expected = torch.tensor([-1.0, -1, 1, 1, 1, 1])
    assert torch.equal(sign(u), expected)
    for estimator in ("tanh", "sigmoid"):
        assert torch.equal(straight_through(u, estimator, torch.tensor(2.0)), expected)


@pytest.mark.parametrize("estimator", ["tanh", "sigmoid"])
def test_gradient_of_the_estimators(estimator: str) -> None:
    u = torch.linspace(-3, 3, 41, dtype=torch.float64).requires_grad_()
    weights = torch.linspace(1, 2, 41, dtype=torch.float64)
    slope = torch.tensor(1.7, dtype=torch.float64)
    (straight_through(u, estimator, slope) * weights).sum().backward()  # type: ignore[no-untyped-call]
    # The derivative of the smooth function that stands behind, by autograd itself.
    v = u.detach().clone().requires_grad_()
    smooth = torch.tanh(v) if estimator == "tanh" else 2 * torch.sigmoid(slope * v) - 1
    (smooth * weights).sum().backward()  # type: ignore[no-untyped-call]
    assert u.grad is not None
    torch.testing.assert_close(u.grad, v.grad, rtol=1e-12, atol=0)


@pytest.mark.parametrize("setup", [SMALL, WIDE])
def test_sorted_transmitter_is_equivariant(setup: Setup) -> None:
    transmitter = made(setup).transmitter
    signs = feedback(setup, 64)
    v = transmitter(signs)
    index = ((signs.numpy() + 1) / 2) @ (2.0 ** np.arange(setup.bits - 1, -1, -1))
    # Users that send the same keep their order, so V is theirs by place, not by name.
    apart = torch.from_numpy((np.diff(np.sort(index, axis=1), axis=1) > 0).all(axis=1))
    assert 30 < apart.sum() < 64
    for order in itertools.permutations(range(setup.users)):
        assert torch.equal(transmitter(signs[:, order])[apart], v[apart][:, order]), order
    # The sort itself, by NumPy: stable, MSB first.
    places = transmitter.places(signs)
    expected = np.argsort(index, axis=1, kind="stable")
    assert np.array_equal(places.argmax(2).numpy(), expected)
    assert torch.equal(places.sum(1), torch.ones(64, setup.users))
    given = made(setup, Options(order="given")).transmitter
    assert not torch.equal(given(signs.flip(1)), given(signs).flip(1))


def test_columns_have_unit_norm() -> None:
    precoder = made(PAPER)
    v = precoder.transmitter(feedback(PAPER, 32))
    assert v.shape == (32, 4, 2, 8, 2)
    norms = v.square().sum((-2, -1))
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=0, atol=1e-6)
    with torch.no_grad():
        last = precoder.transmitter.net[-1]
        last.weight.zero_()
        last.bias.zero_()
    assert not precoder.transmitter(feedback(PAPER, 2)).any()


@pytest.mark.parametrize("pilot", ["dft", "learned"])
def test_users_hear_what_the_numpy_side_makes(pilot: str) -> None:
    precoder = made(WIDE, Options(pilot=pilot))
    if pilot == "learned":
        with torch.no_grad():
            precoder.pilot.normal_()
        assert not np.allclose(precoder.pilots(), dft_pilots(WIDE))
    np.testing.assert_allclose(np.linalg.norm(precoder.pilots(), axis=0), 1, rtol=1e-12)
    rng = np.random.default_rng(2)
    h = rayleigh(WIDE, 9, rng)
    silent = torch.zeros(9, WIDE.users, WIDE.pilots, WIDE.streams, 2)
    parts = np.ascontiguousarray(h.swapaxes(2, 3))[..., None].view(np.float32)
    y = precoder.hear(torch.from_numpy(parts), silent).detach().numpy()
    noisy = observe(WIDE, h, precoder.pilots(), np.random.default_rng(3))
    noise = observe(WIDE, np.zeros_like(h), precoder.pilots(), np.random.default_rng(3))
    # Sums of 4 float32 products near 3, and a noise that is taken off again.
    np.testing.assert_allclose(y, noisy - noise, rtol=0, atol=5e-6)


def onnx_runtime(model: ModelProto, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [entry.name for entry in session.get_inputs()]
    results: list[NDArray[Any]] = session.run(None, dict(zip(names, inputs, strict=True)))
    return results


def our_runtime(model: ModelProto, part: str, side: str, *inputs: NDArray[Any]) -> Any:
    return Part(write_bundle(compile_model(model, part=part, side=side, n_max=4))).run(*inputs)


@pytest.mark.parametrize(("setup", "receivers"), [(WIDE, "shared"), (SMALL, "own")])
def test_receiver_leaves(setup: Setup, receivers: str) -> None:
    precoder = made(setup, Options(receivers=receivers))
    rng = np.random.default_rng(4)
    y = observe(setup, rayleigh(setup, 50, rng), precoder.pilots(), rng)
    with torch.no_grad():
        bits = (sign(precoder.feedback(torch.from_numpy(y))) > 0).numpy()
    assert 0.05 < bits.mean() < 0.95
    # A shared receiver's file serves every user, a user's own no other.
    model = export_receiver(precoder, setup, user=1)
    for user in range(setup.users):
        own = np.ascontiguousarray(y[:, user])
        for found in (onnx_runtime(model, own), our_runtime(model, "receiver", "ue", own)):
            same = np.array_equal(found[0], bits[:, user])
            assert same == (receivers == "shared" or user == 1)
            assert np.array_equal(found[1], np.packbits(found[0], axis=1))


@pytest.mark.parametrize(
    ("setup", "options"),
    [
        (SMALL, Options()),
        (WIDE, Options()),
        (WIDE, Options(order="given")),
        (SMALL, Options("own", power_input=True)),
        (WIDE, Options(power_input=True)),
    ],
)
def test_transmitter_leaves(setup: Setup, options: Options) -> None:
    precoder = made(setup, options)
    signs = feedback(setup, 50)
    payload = np.packbits(signs.numpy() > 0, axis=2)
    assert payload.shape[2] == setup.payload_bytes
    # What stands in the pad must not matter.
    payload[::2, :, -1] |= (1 << (-setup.bits % 8)) - 1
    inputs: tuple[NDArray[Any], ...] = (payload,)
    snr_db = np.random.default_rng(5).uniform(0, 30, (50, 1)).astype(np.float32)
    if options.power_input:
        inputs = (payload, snr_db)
    with torch.no_grad():
        expected = precoder.transmitter(signs, torch.from_numpy(snr_db)).numpy()
    model = export_transmitter(precoder, setup)
    assert {n.op_type for n in model.graph.node}.isdisjoint({"TopK", "GatherElements"})
    # Unit columns. Random weights leave some that are a third of the usual length before they are
    # normalised, and the roundings of sums of up to 480 terms grow with that.
    for found in (onnx_runtime(model, *inputs), our_runtime(model, "transmitter", "bs", *inputs)):
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=2e-6)
    if not options.power_input:
        return
    # P as a constant: the same network with one input.
    fixed = export_transmitter(precoder, setup, snr_db=12.5)
    (v,) = our_runtime(fixed, "transmitter", "bs", payload)
    with torch.no_grad():
        expected = precoder.transmitter(signs, torch.full((50, 1), 12.5)).numpy()
    np.testing.assert_allclose(v, expected, rtol=0, atol=2e-6)


def test_paper_size_within_a_millionth() -> None:
    """M = 8, N = 2, K = 2 as in the issue: V within 1e-6 of ONNX Runtime's over random feedback."""
    setup = Setup(users=2)
    precoder = made(setup)
    payload = np.packbits(feedback(setup, 200).numpy() > 0, axis=2)
    model = export_transmitter(precoder, setup)
    ours, theirs = our_runtime(model, "transmitter", "bs", payload), onnx_runtime(model, payload)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=1e-6)


def test_half_weights() -> None:
    precoder = made(SMALL)
    whole, half = (export_transmitter(precoder, SMALL, half_weights=h) for h in (False, True))
    assert half.ByteSize() < 0.6 * whole.ByteSize()
    payload = np.packbits(feedback(SMALL, 20).numpy() > 0, axis=2)
    expected, found = onnx_runtime(whole, payload)[0], onnx_runtime(half, payload)[0]
    # Weights move by 2^-12 of themselves at most, V by about as much.
    assert 0 < np.abs(found - expected).max() < 2e-3
    kinds = {
        t.data_type for t in export_receiver(precoder, SMALL, half_weights=True).graph.initializer
    }
    assert TensorProto.FLOAT16 in kinds


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"receivers": "both"}, "shared or own"),
        ({"order": "random"}, "sorted or given"),
        ({"pilot": "zadoff-chu"}, "dft or learned"),
        ({"receivers": "own", "order": "sorted"}, "order given"),
    ],
)
def test_bad_options(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Options(**given)


def test_bad_parts() -> None:
    precoder = made(SMALL)
    with pytest.raises(InputError, match="was made for"):
        export_transmitter(precoder, PAPER)
    with pytest.raises(InputError, match="no input"):
        export_transmitter(precoder, SMALL, snr_db=10)
    with pytest.raises(InputError, match="0 to 1"):
        export_receiver(precoder, SMALL, user=2)
    with pytest.raises(InputError, match="snr_db is missing"):
        made(SMALL, Options(power_input=True)).transmitter(feedback(SMALL, 2))
