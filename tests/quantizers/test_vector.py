"""The vector quantizer against brute force, and its fit on data whose clusters are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.scalar import fit_codebook, uniform_widths
from csideploy.quantizers.vector import VectorQuantizer

SIZES = [(1, 1), (1, 4), (1, 8), (2, 1), (2, 3), (2, 4), (4, 1), (4, 2)]


def brute_force(z: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared distances (n, M / L, 2^(L B)) in float64."""
    groups = z.astype(np.float64).reshape(len(z), -1, vectors.shape[1])
    found: NDArray[np.float64] = ((groups[:, :, None] - vectors) ** 2).sum(-1)
    return found


@pytest.mark.parametrize(("length", "bits"), SIZES)
def test_codes_with_ties_to_the_lowest_index(length: int, bits: int) -> None:
    random = np.random.default_rng(10 * length + bits)
    quantizer = VectorQuantizer(16, length, bits)
    # Small integers: every distance is exact, and many vectors are equally near or equal.
    vectors = random.integers(-4, 5, (1 << (length * bits), length)).astype(np.float32)
    quantizer.vectors.data.copy_(torch.from_numpy(vectors))
    z = random.integers(-5, 6, (60, 16)).astype(np.float32)
    distance = brute_force(z, vectors)
    assert ((distance == distance.min(-1, keepdims=True)).sum(-1) > 1).any()
    codes = quantizer.codes(torch.from_numpy(z))
    assert codes.dtype == torch.uint8
    assert codes.shape == (60, 16 // length)
    np.testing.assert_array_equal(codes.numpy(), distance.argmin(-1))


@pytest.mark.parametrize(("length", "bits"), SIZES)
def test_codes_of_reals(length: int, bits: int) -> None:
    random = np.random.default_rng(10 * length + bits)
    quantizer = VectorQuantizer(16, length, bits)
    vectors = random.normal(size=(1 << (length * bits), length)).astype(np.float32)
    quantizer.vectors.data.copy_(torch.from_numpy(vectors))
    z = random.normal(size=(60, 16)).astype(np.float32)
    distance = brute_force(z, vectors)
    codes = quantizer.codes(torch.from_numpy(z)).numpy()
    taken = np.take_along_axis(distance, codes[..., None].astype(np.int64), -1)[..., 0]
    # ||v||^2 - 2 z.v in float32: terms below 2 (4 4^2), some half units in the last place of each.
    assert (taken - distance.min(-1) <= 8 * 128 * 2.0**-24).all()
    assert (codes == distance.argmin(-1)).mean() > 0.999


def test_forward_penalty_error_and_gradients() -> None:
    random = np.random.default_rng(3)
    quantizer = VectorQuantizer(8, 2, 2).train()
    vectors = random.normal(size=(16, 2)).astype(np.float32)
    quantizer.vectors.data.copy_(torch.from_numpy(vectors))
    quantizer.beta = 0.25
    quantizer.spread.fill_(2.0)
    plain = random.normal(size=(30, 8)).astype(np.float32)
    z = torch.from_numpy(plain).requires_grad_()
    out = quantizer(z)
    chosen = vectors[quantizer.codes(z).numpy()].reshape(30, 8)
    # z + (c - z) is rounded twice, each time by half a unit in the last place.
    assert (
        np.abs(out.detach().numpy() - chosen) <= 2.0**-23 * (np.abs(chosen) + np.abs(plain))
    ).all()
    loss = ((chosen.astype(np.float64) - plain) ** 2).sum(1).mean() / 4
    assert quantizer.error is not None
    assert quantizer.penalty is not None
    # 240 float32 terms, none negative.
    assert float(quantizer.error.detach()) == pytest.approx(loss, rel=240 * 2.0**-24)
    assert float(quantizer.penalty.detach()) == pytest.approx(0.25 * loss, rel=240 * 2.0**-24)

    weights = torch.arange(1.0, 241.0).view(30, 8)
    (through,) = torch.autograd.grad((out * weights).sum(), z, retain_graph=True)
    assert torch.equal(through, weights)
    # The error moves the vectors alone, the penalty the encoder alone.
    pulled = torch.autograd.grad(quantizer.error, [z, quantizer.vectors], allow_unused=True)
    assert pulled[0] is None
    assert pulled[1] is not None
    (pull,) = torch.autograd.grad(quantizer.penalty, z)
    expected = 0.25 * 2 * (plain - chosen) / 4 / 30
    np.testing.assert_allclose(pull.numpy(), expected, rtol=1e-5, atol=1e-9)


def clusters(count: int, length: int, seed: int) -> tuple[NDArray[np.float64], torch.Tensor]:
    """Centres (count, length) at least 2 apart, and groups with a deviation of 0.01 around them."""
    random = np.random.default_rng(seed)
    axes = np.stack(np.meshgrid(*[np.arange(0, 64, 2)] * length), -1).reshape(-1, length)
    centres = random.permutation(axes)[:count].astype(np.float64) - 20
    rows = centres[random.integers(0, count, 3200 // length)]
    z = (rows + random.normal(0, 0.01, rows.shape)).reshape(-1, 16)
    return centres, torch.from_numpy(z.astype(np.float32))


@pytest.mark.parametrize(("length", "bits"), [(1, 3), (2, 2), (4, 1)])
def test_fit_on_clusters(length: int, bits: int) -> None:
    count = 1 << (length * bits)
    _, z = clusters(count, length, seed=5)
    quantizer = VectorQuantizer(16, length, bits)

    def distortion() -> float:
        book = quantizer.book().astype(np.float64)
        return float(brute_force(z.numpy(), book).min(-1).mean())

    quantizer.fit(z, seed=0)
    assert quantizer.book().shape == (count, length)
    used = np.bincount(quantizer.codes(z).numpy().ravel(), minlength=count)
    assert (used > 0).all(), "no vector is idle"
    fitted = distortion()
    # Against one vector for all. Not zero: a start at random puts two vectors into some clusters,
    # and k-means leaves them there (16 clusters in 4 dimensions: 0.057).
    assert fitted < 0.1 * length * float(z.var())

    # It goes on from where it stands, and never gets worse by that.
    quantizer.vectors.data.add_(0.3)
    moved = distortion()
    quantizer.fit(z, seed=1)
    assert distortion() < moved
    assert distortion() <= fitted * 1.01


def test_fit_frees_idle_vectors_and_repeats_itself() -> None:
    _, z = clusters(16, 2, seed=6)
    books = []
    for _ in range(2):
        quantizer = VectorQuantizer(16, 2, 2)
        # Two vectors in the midst of the data, 14 where nobody is near.
        quantizer.vectors.data.fill_(1e4)
        quantizer.vectors.data[:2] = torch.tensor([[0.0, 0.0], [5.0, 5.0]])
        quantizer.fit(z, seed=2)
        books.append(quantizer.book())
        used = np.bincount(quantizer.codes(z).numpy().ravel(), minlength=16)
        assert (used > 0).all()
    np.testing.assert_array_equal(*books)


@pytest.mark.parametrize(
    ("outputs", "length", "bits", "says"),
    [
        (16, 3, 1, "1, 2 or 4"),
        (16, 0, 1, "1, 2 or 4"),
        (16, 8, 1, "1, 2 or 4"),
        (15, 2, 1, "dividing M"),
        (16, 1, 0, "at most 8"),
        (16, 1, 9, "at most 8"),
        (16, 2, 5, "10 bits a code"),
        (16, 4, 3, "12 bits a code"),
    ],
)
def test_sizes_out_of_range(outputs: int, length: int, bits: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        VectorQuantizer(outputs, length, bits)


@pytest.mark.parametrize("kind", ["vector", "codebook"])
def test_half_precision_around_it_moves_no_code(kind: str) -> None:
    """Under autocast, products would be those of bfloat16, and near vectors change places."""
    generator = torch.Generator().manual_seed(6)
    z = torch.randn(500, 8, generator=generator)
    quantizer: VectorQuantizer | CodebookQuantizer
    if kind == "vector":
        quantizer = VectorQuantizer(8, 1, 8)
        quantizer.fit(z, seed=1)
    else:
        quantizer = CodebookQuantizer(8, (8,))
        quantizer.put(8, fit_codebook(z.numpy(), uniform_widths(8, 8)))
    plain = quantizer(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quantizer(z), plain)


def test_nan_has_code_0() -> None:
    quantizer = CodebookQuantizer(2, (2,))
    z = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
    quantizer.put(2, fit_codebook(z, uniform_widths(2, 2)))
    assert quantizer.codes(torch.tensor([[torch.nan, 9.0]])).tolist() == [[0, 3]]
