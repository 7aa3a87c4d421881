"""Starts from principal components, against a float64 PCA of the same samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from csideploy import registry, systems
from csideploy.errors import InputError
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.uniform import UniformQuantizer
from csideploy.quantizers.vector import VectorQuantizer
from csideploy.registry import Feature
from csideploy.systems.link import Link
from csideploy.training import codebooks, components, identity, straight
from csideploy.training.data import TrainingData, read
from csideploy.training.recipes import recipe

CR, M = 64, 32


@pytest.fixture(scope="module")
def data(csi_file: Path) -> TrainingData:
    return read(csi_file, torch.device("cpu"))


@pytest.fixture(scope="module")
def oracle(data: TrainingData) -> NDArray[np.float64]:
    """The validation samples from their 32 principal components of the training rows, float64."""
    train = data.first(1000).flatten(1).double().numpy()
    mean = train.mean(0)
    # By singular values, where `components` takes eigenvectors of the covariance.
    _, _, right = np.linalg.svd(train - mean, full_matrices=False)
    x = data.validation().flatten(1).double().numpy()
    found: NDArray[np.float64] = mean + (x - mean) @ right[:M].T @ right[:M]
    return found


def nmse(out: NDArray[np.floating], x: Tensor) -> float:
    reference = x.flatten(1).double().numpy()
    error = (out.reshape(reference.shape) - reference) ** 2
    return float((error.sum(1) / ((reference - 0.5) ** 2).sum(1)).mean())


@pytest.fixture(scope="module")
def links(data: TrainingData) -> dict[str, Link]:
    """A float link of each family, started."""
    made = {}
    for name in ("pca", "csinet", "csinetpro", "acrnet1x"):
        torch.manual_seed(1)
        made[name] = systems.build(name, cr=CR, bits=None)
        components.start(made[name], data.first(1000))
        made[name].eval()
    return made


def test_pca_is_exactly_the_projection(
    links: dict[str, Link], data: TrainingData, oracle: NDArray[np.float64]
) -> None:
    x = data.validation()
    with torch.no_grad():
        feature, out = links["pca"].encoder(x), links["pca"](x)
    # float32 products over 2048 and 32 terms, all of them below 1.
    np.testing.assert_allclose(out.flatten(1).numpy(), oracle, rtol=0, atol=2e-6)
    assert nmse(oracle, x) < 0.9, "32 of 2048 components must carry something"
    # The rows are orthonormal, the strongest first, and the features have no mean.
    rows = links["pca"].encoder.fc.weight.detach().double()
    torch.testing.assert_close(rows @ rows.T, torch.eye(M).double(), rtol=0, atol=1e-5)
    with torch.no_grad():
        z = links["pca"].encoder(data.first(1000))
    spreads = z.std(0)
    assert (spreads.diff() <= 1e-6).all()
    assert float(z.mean(0).abs().max()) < 1e-5
    assert feature.shape == (len(x), M)


@pytest.mark.parametrize("name", ["csinet", "csinetpro", "acrnet1x"])
def test_others_start_about_there(
    name: str, links: dict[str, Link], data: TrainingData, oracle: NDArray[np.float64]
) -> None:
    x = data.validation()
    with torch.no_grad():
        out = links[name](x).flatten(1).double().numpy()
        feature = links[name].encoder(x)
    # The encoders pass x on, so that the features are PCA's, but for roundings.
    torch.testing.assert_close(feature, links["pca"].encoder(x), rtol=0, atol=1e-4)
    # The knees undo the output's sigmoid up to 0.008 in x (`identity`), CsiNet's up to 0.055
    # where its pedestal ends; CsiNet-Pro has none: |sigmoid(4 u) - 0.5 - u| is at most 0.12.
    worst = {"csinetpro": 0.12, "csinet": 0.055, "acrnet1x": 0.0086}[name]
    inside = np.clip(oracle, 0, 1)
    assert np.abs(out - inside).max() < worst + np.abs(oracle - inside).max()
    # Most power is in pixels that the sigmoid bends little: 5 % of the error is 0.2 dB.
    assert nmse(out, x) == pytest.approx(nmse(oracle, x), rel=0.05)


@pytest.mark.parametrize(
    ("name", "binarize"),
    [("transnet", "none"), ("crnet", "none"), ("bacrnet1x", "encoder"), ("csinet", "both")],
)
def test_links_that_cannot_start_so(data: TrainingData, name: str, binarize: str) -> None:
    link = systems.build(name, cr=CR, bits=None, binarize=binarize)
    with pytest.raises(InputError, match="without 1-bit layers"):
        components.start(link, data.first(100))


@pytest.mark.parametrize("name", ["csinet", "csinetpro"])
def test_pass_on(name: str, data: TrainingData) -> None:
    torch.manual_seed(2)
    link = systems.build(name, cr=CR, bits=None)
    straight.pass_on(link)
    straight.measure(link, data.first(100))
    link.eval()
    x = data.validation()
    # Every value of [0, 1] too, in both channels.
    ramp = torch.linspace(0.005, 0.995, 1024)
    x = torch.cat([x, torch.stack([ramp, ramp.flip(0)]).view(1, 2, 32, 32)])
    with torch.no_grad():
        passed = link.encoder.convolutions(x)
        image = straight.GAIN * (x - 0.5) + straight.PEDESTAL
        back = torch.sigmoid(link.decoder.convolutions(image))
    # Batch norms multiply by sqrt(1 + eps) / sqrt(1 + eps), LReLUs see what is positive.
    torch.testing.assert_close(passed, x, rtol=0, atol=2e-6)
    z = 4 * (x.double().numpy() - 0.5)
    if name == "csinet":
        for threshold, gain in identity.KNEES:
            z = z + gain * (np.maximum(z - threshold, 0) - np.maximum(-z - threshold, 0))
            # The end of the block: where the pedestal does not reach, the slope of 0.3 shows.
            z = np.maximum(z + 2.5, 0.3 * (z + 2.5)) - 2.5
    expected = 1 / (1 + np.exp(-z))
    # A 3x3 or 7x7 sum of terms up to 10 in float32, its inexact ones few.
    np.testing.assert_allclose(back.numpy(), expected, rtol=0, atol=1e-5)
    if name == "csinet":
        # The least squares fit of the knees; below 0.05 the pedestal ends.
        error = (back - x).abs()
        assert float(error[x > 0.05].max()) < 0.0196
        assert float(error.max()) < 0.055


def test_the_other_channels_are_alive(links: dict[str, Link], data: TrainingData) -> None:
    """Batch norms off the straight path see what they are scaled for: their outputs vary."""
    seen: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
        for name, module in links["csinet"].named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    ]
    with torch.no_grad():
        links["csinet"](data.first(1000))
    for hook in hooks:
        hook.remove()
    hidden = [out for out in seen.values() if out.shape[1] > 6]
    assert len(hidden) == 4
    for out in hidden:
        spread = out[:, 6:].transpose(0, 1).flatten(1).std(1)
        # Calibrated on these very samples to variance 1, gamma 1.
        torch.testing.assert_close(spread, torch.ones_like(spread), rtol=0, atol=1e-2)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_fold_range_leaves_the_float_link(
    bits: int, links: dict[str, Link], data: TrainingData
) -> None:
    link = systems.build("csinet", cr=CR, bits=bits, feature=Feature("round"))
    link.encoder.load_state_dict(links["csinet"].encoder.state_dict())
    link.decoder.load_state_dict(links["csinet"].decoder.state_dict())
    codebooks.fold_range(link, data)
    link.eval()
    link.bypass = True
    x = data.validation()
    with torch.no_grad():
        # Rounding of the folded weights, each a few units in the last place.
        torch.testing.assert_close(link(x), links["csinet"](x), rtol=0, atol=1e-5)
        z = link.encoder(data.first(1000))
    assert isinstance(link.quantizer, UniformQuantizer)
    half = 0.5 / codebooks.LOADING[bits]
    # u = (z - mean) / (2 c sigma) + 1/2 by construction.
    torch.testing.assert_close(z.mean(0), torch.full((M,), 0.5), rtol=0, atol=1e-4)
    torch.testing.assert_close(z.std(0), torch.full((M,), half), rtol=1e-4, atol=0)
    # Few values lie outside where the loading is more than 3 deviations.
    outside = float(((z < 0) | (z > 1)).double().mean())
    assert outside < (0.4 if bits == 1 else 0.02)


def feature_link(name: str, links: dict[str, Link], bits: int, feature: Feature) -> Link:
    link = systems.build(name, cr=CR, bits=bits, feature=feature)
    link.encoder.load_state_dict(links[name].encoder.state_dict())
    return link


@pytest.mark.parametrize("allocated", [True, False])
def test_fit_keeps_the_budgets(allocated: bool, links: dict[str, Link], data: TrainingData) -> None:
    link = feature_link("pca", links, 2, Feature("codebook", budgets=(1, 2, 5)))
    codebooks.fit(link, data, allocated=allocated, seed=0)
    quantizer = link.quantizer
    assert isinstance(quantizer, CodebookQuantizer)
    z = codebooks.features(link, data).numpy()
    assert z.shape == (data.training_rows, M)
    spread = float(z.astype(np.float64).std(0, ddof=1).mean())
    assert float(quantizer.spread) == pytest.approx(spread, rel=1e-5)
    losses = []
    for budget in (1, 2, 5):
        book = quantizer.book(budget)
        assert book.bits == budget * M
        if allocated and budget < 5:
            # The first components have thrice the spread of the last. With 32 values for 380
            # samples this shows no more: equal bits are the best there are, by exact search too.
            assert book.widths[:8].sum() > book.widths[-8:].sum()
        else:
            assert (book.widths == budget).all()
        half = book.values.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(book.values, half)
        error = book.dequantize(book.quantize(z)) - z
        losses.append(float((error.astype(np.float64) ** 2).sum(1).mean()))
    total = float(z.astype(np.float64).var(0).sum())
    # A bit an output takes at least half of the power of anything with two sides.
    assert total / 2 > losses[0] > losses[1] > losses[2]


def test_allocation_pays(links: dict[str, Link], data: TrainingData) -> None:
    losses = {}
    for allocated in (True, False):
        link = feature_link("pca", links, 2, Feature("codebook"))
        codebooks.fit(link, data, allocated=allocated, seed=0)
        quantizer = link.quantizer
        assert isinstance(quantizer, CodebookQuantizer)
        z = codebooks.features(link, data).numpy()
        book = quantizer.book()
        losses[allocated] = float(((book.dequantize(book.quantize(z)) - z) ** 2).sum(1).mean())
    # Equal bits are one of the allocations. Of the 32 strongest components of CSI, the first has
    # thrice the spread of the last: some percent, not more.
    assert losses[True] < 0.99 * losses[False]


def test_fit_of_vectors(links: dict[str, Link], data: TrainingData) -> None:
    books = []
    for _ in range(2):
        link = feature_link("pca", links, 3, Feature("vector", length=2))
        codebooks.fit(link, data, allocated=False, seed=4)
        quantizer = link.quantizer
        assert isinstance(quantizer, VectorQuantizer)
        books.append(quantizer.book())
        z = codebooks.features(link, data)
        with torch.no_grad():
            error = (quantizer(z) - z).square().mean()
        assert float(error) < 0.5 * float(z.square().mean())
    np.testing.assert_array_equal(*books)


@pytest.mark.parametrize("bits", [None, 4])
def test_fit_leaves_other_links_alone(bits: int | None, data: TrainingData) -> None:
    link = systems.build("csinet", cr=CR, bits=bits)
    before = {name: value.clone() for name, value in link.state_dict().items()}
    codebooks.fit(link, data, allocated=True, seed=0)
    for name, value in link.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("name", ["acrnet1x", "csinet", "csinetpro"])
def test_norms_are_measured_on_the_float_link(name: str, data: TrainingData) -> None:
    """A quantizer that is not fitted yet must not stand between them and what they will see."""
    states = []
    for bits, feature in ((None, None), (2, Feature("codebook")), (2, Feature("vector"))):
        torch.manual_seed(4)
        link = systems.build(name, cr=64, bits=bits, feature=feature)
        components.start(link, data.first(200))
        assert not link.bypass
        kept = link.state_dict().items()
        states.append({key: value for key, value in kept if "quantizer" not in key})
    for other in states[1:]:
        assert states[0].keys() == other.keys()
        for key, value in states[0].items():
            assert torch.equal(value, other[key]), key


@pytest.mark.parametrize("option", [{"epochs": 2.0}, {"batch": 8}, {"rate": 1e-3}])
def test_components_are_not_trained(option: dict[str, float]) -> None:
    asked = {"epochs": None, "batch": None, **option}
    with pytest.raises(InputError, match="computed, not trained"):
        recipe("paper-001", registry.get("pca"), binarize="none", **asked)  # type: ignore[arg-type]
