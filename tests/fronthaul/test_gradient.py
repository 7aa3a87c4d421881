"""Neural codebooks and the descent in PyTorch."""

import numpy as np
import pytest
import torch
from neural_problems import network, problem

from csideploy.errors import InputError
from csideploy.fronthaul.gradient import gradient_search, pack_bits, unpack_bits
from csideploy.fronthaul.networks import Network


def test_payload_is_a_stream_for_each_unit() -> None:
    bits = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]], np.uint8)
    payload = pack_bits(bits, [3, 1])
    # Unit 1: 101 011 111 and seven zeros; unit 2: 1 0 1 and five.
    assert payload.tolist() == [0b10101111, 0b10000000, 0b10100000]
    assert np.array_equal(unpack_bits(payload, [3, 1], 3), bits)


@pytest.mark.parametrize(("sizes", "uses"), [([5], 1), ([8, 3, 17], 13), ([1, 1], 8)])
def test_payload_there_and_back(sizes: list[int], uses: int) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (uses, sum(sizes))).astype(np.uint8)
    assert np.array_equal(unpack_bits(pack_bits(bits, sizes), sizes, uses), bits)


def test_wrong_payloads() -> None:
    with pytest.raises(InputError, match="bits"):
        pack_bits(np.zeros((2, 5), np.uint8), [3, 1])
    with pytest.raises(InputError, match="payload"):
        unpack_bits(np.zeros(2, np.uint8), [3, 1], 3)


def test_decode_by_hand() -> None:
    net = Network(
        (np.array([[2, -1]]), np.array([[1], [-3]])), (np.array([0.5]), np.array([0.25, 1]))
    )
    assert (net.bits, net.hidden, net.antennas, net.layers) == (2, 1, 1, 1)
    bits = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    # The hidden unit: 0.5, 2.5, 0 (-0.5 cut), 1.5.
    assert np.array_equal(
        net.decode(bits)[:, 0], [0.75 - 0.5j, 2.75 - 6.5j, 0.25 + 1j, 1.75 - 3.5j]
    )
    with pytest.raises(InputError, match=r"\(uses, 2\)"):
        net.decode(np.zeros((1, 3)))


def test_networks_that_are_none() -> None:
    w, out = np.ones((4, 3)), np.ones((2, 4))
    for weights, biases, match in (
        ((), (), "matrices"),
        ((w, out), (np.ones(4),), "matrices"),
        ((w[0], out), (np.ones(4), np.ones(2)), "matrices"),
        ((w, out), (np.ones(3), np.ones(2)), "bias"),
        ((w, out[:, :3]), (np.ones(4), np.ones(2)), "chain"),
        ((w, np.ones((5, 4)), np.ones((2, 5))), (np.ones(4), np.ones(5), np.ones(2)), "chain"),
        ((w, out[:1]), (np.ones(4), np.ones(1)), "even"),
        ((w * np.nan, out), (np.ones(4), np.ones(2)), "finite"),
    ):
        with pytest.raises(InputError, match=match):
            Network(weights, biases)


def test_the_first_step_by_differences() -> None:
    """I = 1: b = 1 where the objective falls with its bit, from q = 1/2 on."""
    p = problem([(2, 5, 7), (1, 3, 7)], 1, 2, 4)
    bits = gradient_search(
        p.networks, torch.tensor(p.effective), torch.tensor(p.targets), p.step, 1
    ).numpy()

    def objective(q: np.ndarray) -> np.ndarray:
        parts = np.split(q, [5], axis=1)
        x = np.concatenate([n.decode(b) for n, b in zip(p.networks, parts, strict=True)], axis=1)
        return (np.abs(x @ p.effective.T - p.targets) ** 2).sum(1)

    half = np.full((4, 8), 0.5)
    for b in range(8):
        up, down = half.copy(), half.copy()
        up[:, b] += 1e-5
        down[:, b] -= 1e-5
        assert np.array_equal(bits[:, b], objective(up) < objective(down))


def test_units_keep_their_order_whatever_their_sizes() -> None:
    """Units of one size are a batch, of which the bits must find their places again."""
    sizes = [(2, 5, 7), (1, 3, 7), (2, 5, 7), (1, 3, 7)]
    p = problem(sizes, 1, 3, 6)
    arguments = torch.tensor(p.effective), torch.tensor(p.targets), p.step, 20
    whole = gradient_search(p.networks, *arguments)
    mixed = [2, 1, 0, 3]
    columns = np.split(np.arange(6), np.cumsum([2, 1, 2]))
    effective = torch.tensor(np.concatenate([p.effective[:, columns[m]] for m in mixed], axis=1))
    other = gradient_search([p.networks[m] for m in mixed], effective, *arguments[1:])
    own = np.split(whole.numpy(), np.cumsum([5, 3, 5]), axis=1)
    assert np.array_equal(other.numpy(), np.concatenate([own[m] for m in mixed], axis=1))


def test_wrong_shapes() -> None:
    net = network(np.random.default_rng(0), 2, 4, 5, 1)
    c, d = torch.ones(3, 2, dtype=torch.complex64), torch.ones(5, 3, dtype=torch.complex64)
    for effective, targets in ((c[:, :1], d), (c[0], d), (c, d[:, :2]), (c, d[0])):
        with pytest.raises(InputError, match="is right"):
            gradient_search([net], effective, targets, 0.1, 2)
