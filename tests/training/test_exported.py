"""Trained links as files: what torch computes, ONNX Runtime and our runtime compute too.

The weights are random and the quantizers fitted to what they make: no training is needed for that.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from csideploy import systems
from csideploy.band import BAND, near_codebook, near_uniform
from csideploy.link_export import Wanted, make_package
from csideploy.link_source import Bits, LinkSource, from_checkpoint
from csideploy.onnx_oracle import Oracle
from csideploy.package import open_package
from csideploy.payload import Layout
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.uniform import UniformQuantizer
from csideploy.quantizers.vector import VectorQuantizer
from csideploy.registry import Feature
from csideploy.systems.link import Link
from csideploy.training import checkpoint, codebooks
from csideploy.training.data import TrainingData, read
from csideploy.training.exported import Exported, export_trained

CR, M = 64, 32
WANTED = Wanted("csinet", None, Bits(), None, frozenset({"onnx", "bundle"}), False, 7)

Codes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def data(csi_file: Path) -> TrainingData:
    return read(csi_file, torch.device("cpu"))


@pytest.fixture(scope="module")
def x(data: TrainingData) -> NDArray[np.float32]:
    """Samples that the quantizers were fitted to, and others."""
    made: NDArray[np.float32] = data.batch(torch.arange(300, 400)).contiguous().numpy()
    return made


def fitted(name: str, bits: int, feature: Feature, data: TrainingData) -> Link:
    torch.manual_seed(5)
    link = systems.build(name, cr=CR, bits=bits, feature=feature)
    for module in link.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        if feature.quantizer == "round":
            codebooks.fold_range(link, data)
            # Some of what is sent lies outside [0, 1], on both sides.
            link.encoder.fc.weight.mul_(1.5)
        else:
            # A deviation of 1, so that the band is thin.
            spread = codebooks.features(link, data).std(0).mean()
            link.encoder.fc.weight.div_(spread)
            link.decoder.fc.weight.mul_(spread)
    codebooks.fit(link, data, allocated=True, seed=1)
    return link.eval()


def saved(link: Link, folder: Path) -> LinkSource:
    """Through a weights file, as `export --checkpoint` reads it."""
    about: dict[str, Any] = {
        **{"system": link.spec.name, "cr": link.cr, "bits": link.bits},
        **{"binarize": link.binarize, "feature": link.feature.describe()},
        **{"data": {"scenario": "indoor"}},
    }
    checkpoint.save_weights(folder / checkpoint.WEIGHTS, link, about)
    return from_checkpoint(folder)


def torch_path(
    link: Link, x: NDArray[np.float32], budget: int | None = None
) -> tuple[NDArray[np.float32], Codes, NDArray[np.float32]]:
    """Feature, codes and reconstruction of a link in torch."""
    link.at(budget)
    with torch.no_grad():
        z = link.encoder(torch.from_numpy(x))
        assert link.quantizer is not None
        return z.numpy(), link.quantizer.codes(z).numpy(), link(torch.from_numpy(x)).numpy()


def near(link: Link, z: NDArray[np.float32], budget: int | None = None) -> NDArray[np.bool_]:
    """Which codes a float path may move: the band of the conventions, 1e-5 around a threshold."""
    quantizer = link.quantizer
    if isinstance(quantizer, CodebookQuantizer):
        book = quantizer.book(budget)
        return near_codebook(z, book.thresholds, book.widths)
    if isinstance(quantizer, UniformQuantizer):
        return near_uniform(z, quantizer.bits)
    assert isinstance(quantizer, VectorQuantizer)
    book = quantizer.book().astype(np.float64)
    groups = z.reshape(len(z), -1, quantizer.length)
    distance = np.sort(((groups[:, :, None] - book) ** 2).sum(-1), axis=-1)
    found: NDArray[np.bool_] = distance[..., 1] - distance[..., 0] < BAND
    return found


def same_codes(found: Codes, expected: Codes, band: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Code for code, but in the band, which must be thin; gives the samples that are equal."""
    assert found.shape == expected.shape
    assert not ((found != expected) & ~band).any()
    # 1e-5 to both sides of some thresholds, for outputs of a deviation near 1 (vectors: of squared
    # distances, which may be smaller).
    assert band.mean() < 0.01
    equal: NDArray[np.bool_] = (found == expected).all(axis=1)
    assert equal.mean() > 0.9
    return equal


def assert_near(found: NDArray[np.floating], expected: NDArray[np.floating]) -> None:
    """Within 1e-4, as the conventions say."""
    assert np.abs(found - expected).max() <= 1e-4 * max(1.0, float(np.abs(expected).max()))


LINKS = [
    ("pca", 2, Feature("codebook")),
    ("csinet", 3, Feature("vector", length=2)),
    ("pca", 2, Feature("vector", length=4)),
    ("csinet", 4, Feature("round")),
]


@pytest.mark.parametrize(("name", "bits", "feature"), LINKS)
def test_one_budget(
    name: str,
    bits: int,
    feature: Feature,
    data: TrainingData,
    x: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    link = fitted(name, bits, feature, data)
    z, codes, out = torch_path(link, x)
    assert len(np.unique(codes)) > 1
    if feature.quantizer == "round":
        assert z.min() < 0
        assert z.max() > 1
    band = near(link, z)
    folder = tmp_path / "P"
    make_package(saved(link, tmp_path), WANTED, folder)

    # The files in ONNX Runtime.
    ue, bs = (Oracle((folder / f"{side}.onnx").read_bytes(), name=side) for side in ("ue", "bs"))
    made = ue.run(x)
    equal = same_codes(made["codes"], codes, band)
    assert_near(bs.run(made["payload"])["h"][equal], out[equal])

    # The bundles in our runtime, and their payload read by what the package says about it.
    package = open_package(folder)
    assert package.manifest["quantizer"] == feature.quantizer
    layout = package.layout_of(bits)
    ours, payload = package.open_side("ue", layout).run(x)
    equal = same_codes(ours, codes, band)
    np.testing.assert_array_equal(layout.unpack(payload), ours)
    (h,) = package.open_side("bs", layout).run(payload)
    assert_near(h[equal], out[equal])
    # Wrong codes would not decode to that.
    (wrong,) = package.open_side("bs", layout).run(payload[::-1].copy())
    assert np.abs(wrong - out).max() > 1e-3


def test_three_budgets(data: TrainingData, x: NDArray[np.float32], tmp_path: Path) -> None:
    """decode(encode) through the runtime equals the torch path, code for code, at every budget."""
    budgets = (1, 3, 5)
    link = fitted("csinet", 3, Feature("codebook", budgets=budgets), data)
    source = saved(link, tmp_path)
    assert (source.bits, tuple(source.codebooks)) == (3, budgets)
    folder = tmp_path / "P"
    wanted = dataclasses.replace(WANTED, bits=Bits(budgets, given=True))
    make_package(source, wanted, folder)
    package = open_package(folder)
    losses = []
    for budget in budgets:
        z, codes, out = torch_path(link, x, budget)
        assert isinstance(link.quantizer, CodebookQuantizer)
        np.testing.assert_array_equal(codes, link.quantizer.book(budget).quantize(z))
        band = near(link, z, budget)
        layout = package.layout_of(budget)
        widths = link.quantizer.book(budget).widths.tolist()
        assert layout.widths == tuple(widths)
        assert sum(widths) == budget * M
        sent, payload = package.open_side("ue", layout).run(x)
        equal = same_codes(sent, codes, band)
        np.testing.assert_array_equal(layout.unpack(payload), sent)
        assert payload.shape == (len(x), -(-budget * M // 8))
        (h,) = package.open_side("bs", layout).run(payload)
        assert_near(h[equal], out[equal])
        losses.append(float(((codes_to_values(link, sent, budget) - z) ** 2).mean()))

        quantizer = Oracle((folder / f"ue-quantizer-{budget}.onnx").read_bytes(), name="q")
        feature = Oracle((folder / "ue.onnx").read_bytes(), name="ue").run(x)["feature"]
        same_codes(quantizer.run(feature)["codes"], codes, band)
    assert losses == sorted(losses, reverse=True)


def codes_to_values(link: Link, codes: Codes, budget: int) -> NDArray[np.float32]:
    assert isinstance(link.quantizer, CodebookQuantizer)
    return link.quantizer.book(budget).dequantize(codes)


def exported(data: TrainingData, feature: Feature, bits: int) -> tuple[Link, Exported]:
    link = fitted("pca", bits, feature, data)
    return link, export_trained(link, half_weights=True)


def test_codebooks_go_beside_the_files(data: TrainingData, x: NDArray[np.float32]) -> None:
    link, made = exported(data, Feature("codebook", budgets=(2, 4)), 4)
    assert isinstance(link.quantizer, CodebookQuantizer)
    assert list(made.codebooks) == [2, 4]
    for budget, book in made.codebooks.items():
        np.testing.assert_array_equal(book.values, link.quantizer.book(budget).values)
        # Nothing is lost where the BS stores float16.
        np.testing.assert_array_equal(book.rounded().values, book.values)
        assert Layout.codebook(book.widths.tolist(), budget).nbytes == budget * M // 8
    feature = Oracle(made.ue, name="ue").run(x)["feature"]
    z, _, _ = torch_path(link, x)
    # Large weights are float16 on both sides: each off by 2^-11 of itself at most, times x below 1.
    weights = link.encoder.fc.weight.detach().abs().sum(1).numpy()
    assert (np.abs(feature - z) <= 2.0**-11 * weights + 1e-5).all()
    assert np.abs(feature - z).max() > 1e-6
    # A file of half the size.
    assert len(made.ue) < 2048 * M * 2 + 10_000
    assert len(export_trained(link).ue) > 2048 * M * 4


def test_float_links_are_exported_without_a_quantizer(
    data: TrainingData, x: NDArray[np.float32], tmp_path: Path
) -> None:
    torch.manual_seed(5)
    link = systems.build("pca", cr=CR, bits=None).eval()
    source = saved(link, tmp_path)
    assert (source.quantizer, source.bits, source.codebooks) == ("uniform", None, {})
    make_package(source, WANTED, tmp_path / "P")
    package = open_package(tmp_path / "P")
    (feature,) = package.open_side("ue").run(x)
    (h,) = package.open_side("bs").run(feature)
    with torch.no_grad():
        assert_near(h, link(torch.from_numpy(x)).numpy())
