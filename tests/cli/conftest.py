"""A link package with untrained weights, made once through the real path from torch."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from command_line import Run as Run
from untrained_link import untrained

from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.link_export import Wanted, make_package
from csideploy.link_source import Bits, LinkSource
from csideploy.quantizers.scalar import Codebook

WANTED = Wanted("bacrnet1x", None, Bits(), None, frozenset({"onnx", "bundle"}), False, 7)


@pytest.fixture(scope="session")
def source() -> LinkSource:
    """bacrnet1x at 1/4 and 4 bits, random weights, batch norm away from the identity."""
    return untrained(
        "bacrnet1x",
        cr=4,
        bits=4,
        seed=3,
        binarize="encoder",
        move_norms=True,
        provenance={"source": "test"},
        metrics={},
    )


@pytest.fixture(scope="session")
def package(source: LinkSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of that link. Tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("link") / "P"
    make_package(source, WANTED, folder)
    return folder


def quantile_codebook(features: np.ndarray, widths: np.ndarray) -> Codebook:
    """Values at the middles of slices of equal probability; of 0 bits the mean."""
    books = [
        np.quantile(column, (np.arange(2**b) + 0.5) / 2**b) if b else column.mean(keepdims=True)
        for column, b in zip(features.T, widths.tolist(), strict=True)
    ]
    return Codebook(widths.astype(np.uint8), np.concatenate(books).astype(np.float32))


@pytest.fixture(scope="session")
def codebook_source() -> LinkSource:
    """csinet at 1/8, random weights, codebooks of mixed widths for budgets of 2, 3 and 4 bits."""
    torch = pytest.importorskip("torch", reason="weights of the test link come from torch")
    from csideploy.export.torch_onnx import export_part
    from csideploy.systems import build

    torch.manual_seed(5)
    link = build("csinet", cr=8, bits=None)
    made = generate("indoor", 400, seed=12).H.astype(np.float32)
    x, _ = to_input(made[:, 0] + 1j * made[:, 1])
    with torch.no_grad():
        features = link.eval().encoder(torch.from_numpy(x)).numpy()
    random = np.random.default_rng(8)
    codebooks = {}
    for budget in (2, 3, 4):
        # Some with nothing, some with all, and a sum that is no whole number of bytes.
        widths = random.integers(max(budget - 2, 0), budget + 2, 256)
        widths[random.permutation(256)[:20]] = 0
        widths[:2] = 8, 0
        while widths.sum() > budget * 256 or widths.sum() % 8 == 0:
            widths[widths.argmax() if widths[5] == 0 else 5] -= 1
        codebooks[budget] = quantile_codebook(features, widths)
    return LinkSource(
        system="csinet",
        cr=8,
        bits=4,
        binarize="none",
        ue=export_part(link.encoder, "ue").SerializeToString(),
        bs=export_part(link.decoder, "bs", features=256, half_weights=True).SerializeToString(),
        scenario="indoor",
        provenance={"source": "test"},
        metrics={},
        quantizer="codebook",
        codebooks=codebooks,
    )


@pytest.fixture(scope="session")
def budgets(codebook_source: LinkSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of that link with all three budgets. Tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("budgets") / "P"
    wanted = dataclasses.replace(WANTED, model="csinet", bits=Bits((2, 3, 4), given=True))
    make_package(codebook_source, wanted, folder)
    return folder


@pytest.fixture(scope="session")
def csi_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated indoor channels, 260 samples: more than one chunk."""
    path = tmp_path_factory.mktemp("csi") / "indoor.npz"
    made = generate("indoor", 260, seed=11)
    np.savez(path, H=made.H, sample_absmax=made.sample_absmax)
    return path
