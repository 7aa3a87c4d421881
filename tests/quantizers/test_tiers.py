"""Tiers in training: choices, noise in place of the error, codewords that come back to life."""

import numpy as np
import torch

from csideploy.quantizers.tiers import Tiers
from csideploy.transceiver.codebooks import decode, encode, fit_tiers


def _tiers(regions=1, bits=(4, 3, 2), seed=0):
    torch.manual_seed(seed)
    tiers = Tiers(6, bits, regions)
    with torch.no_grad():
        for book in tiers.books:
            book.copy_(torch.randn_like(book))
    return tiers.eval()


def _books(tiers, region=0):
    return [book[region].detach().numpy() for book in tiers.books]


def test_codewords_are_those_of_the_exhaustive_search():
    tiers = _tiers()
    v = torch.randn(500, 6)
    q, indices = tiers.quantize(v)
    wanted = encode(v.numpy(), _books(tiers))
    assert np.array_equal(indices.numpy(), wanted)
    # Sums of three float32 numbers in the same order.
    assert np.abs(q.detach().numpy() - decode(wanted, _books(tiers))).max() < 1e-6


def test_ties_go_to_the_lowest_index():
    tiers = _tiers(bits=(3,))
    with torch.no_grad():
        tiers.books[0][0, 5] = tiers.books[0][0, 2]
        tiers.books[0][0, 7] = tiers.books[0][0, 2]
    v = tiers.books[0][0, 2].detach().repeat(4, 1)
    assert tiers.quantize(v)[1].flatten().tolist() == [2, 2, 2, 2]


def test_users_may_have_fewer_tiers():
    tiers = _tiers()
    v = torch.randn(30, 6)
    count = torch.arange(30) % 4
    q, indices = tiers.quantize(v, count)
    for row in range(30):
        own, chosen = tiers.quantize(v[row : row + 1], int(count[row]))
        assert torch.equal(q[row], own[0])
        assert torch.equal(indices[row], chosen[0])
        assert (indices[row, int(count[row]) :] == -1).all()


def test_regions_have_codebooks_of_their_own():
    tiers = _tiers(regions=2)
    v = torch.randn(40, 6)
    region = torch.arange(40) % 2
    _, indices = tiers.quantize(v, None, region)
    for number in (0, 1):
        own = region.numpy() == number
        assert np.array_equal(indices.numpy()[own], encode(v.numpy()[own], _books(tiers, number)))


def test_noise_has_the_length_of_the_error():
    """Eq. 17: real noise, another direction for each row; the length has the gradient."""
    tiers = _tiers().train()
    v = torch.randn(200, 6, requires_grad=True)
    read, error, _ = tiers(v)
    moved = (read - v).square().sum(1)
    # Squares of sums in float32.
    assert torch.allclose(moved, error, rtol=1e-4)
    direction = torch.nn.functional.normalize(read - v, dim=1).mean(0)
    assert direction.norm() < 0.3  # 200 random unit vectors: 0.07 expected
    read.sum().backward()
    assert v.grad.abs().min() > 0
    assert all(book.grad.abs().sum() > 0 for book in tiers.books)


def test_dead_codewords_move_beside_used_ones():
    tiers = _tiers(bits=(3,)).train()
    with torch.no_grad():
        tiers.books[0][0, 4:] = 100.0
    v = torch.randn(400, 6)
    tiers(v)
    assert tiers.used[0][0, 4:].sum() == 0
    assert tiers.used[0].sum() == 400
    assert tiers.revive(0.05)[0].sum() >= 4
    assert tiers.books[0].abs().max() < 50
    assert tiers.used[0].sum() == 0
    alive = tiers.eval().quantize(v)[1].unique()
    assert len(alive) > 4


def test_nothing_moves_where_nothing_was_counted():
    tiers = _tiers()
    before = [book.clone() for book in tiers.books]
    assert not any(moved.any() for moved in tiers.revive().values())
    assert all(torch.equal(a, b) for a, b in zip(before, tiers.books, strict=True))


def test_training_comes_near_lloyds_codebook():
    torch.manual_seed(1)
    tiers = Tiers(4, (3,)).train()
    v = torch.randn(2000, 4)
    optimizer = torch.optim.Adam(tiers.parameters(), 0.02)
    for step in range(200):
        error = tiers(v)[1].mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        if step % 25 == 24 and step < 150:
            tiers.revive(0.2)
    points = v.numpy()
    lloyd = fit_tiers(points, [3], seed=0)
    least = np.square(points - decode(encode(points, lloyd), lloyd)).sum(1).mean()
    # Gradient steps of a fixed size stay a little above the fixed point of Lloyd's iteration.
    assert float(error.detach()) < 1.1 * least
