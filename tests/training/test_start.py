"""Closed form, identity convolutions, widening: what a run starts from."""

from pathlib import Path

import pytest
import torch

from csideploy import systems
from csideploy.training import closed_form, identity
from csideploy.training.data import TrainingData, order, read
from csideploy.training.evaluate import validation_nmse_db


@pytest.fixture(scope="module")
def data(csi_file: Path) -> TrainingData:
    return read(csi_file, torch.device("cpu"))


def test_data_is_what_the_file_holds(csi_file: Path, data: TrainingData) -> None:
    x = torch.cat([data.first(1000), data.validation()])
    assert len(x) == 400
    assert data.validation_rows % 20 == 0
    assert 0 <= x.min() < 0.2
    assert 0.8 < x.max() <= 1
    # Each sample's largest modulus is 1, up to float16.
    modulus = (x - 0.5).mul(2).square().sum(1).sqrt().flatten(1).amax(1)
    torch.testing.assert_close(modulus, torch.ones(400), rtol=0, atol=1e-3)
    assert data.description["scenario"] == "indoor"
    assert data.description["seed"] == 11


def test_order_is_a_function_of_its_place() -> None:
    first = order(100, seed=1, stage=0, epoch=0)
    assert torch.equal(first, order(100, seed=1, stage=0, epoch=0))
    assert torch.equal(first.sort().values, torch.arange(100))
    for other in ({"seed": 2}, {"stage": 1}, {"epoch": 1}):
        place = {"seed": 1, "stage": 0, "epoch": 0, **other}
        assert not torch.equal(first, order(100, **place))


# Regression on 380 samples and 32 features: that the link carries CSI at all is enough; random
# weights give more than 0 dB. The 1-bit decoder is no regression and works at full size.
@pytest.mark.parametrize(
    ("binarize", "cr", "at_most"), [("none", 64, -1), ("encoder", 64, -0.7), ("both", 4, -7)]
)
def test_closed_form_carries_csi(
    data: TrainingData, binarize: str, cr: int, at_most: float
) -> None:
    torch.manual_seed(0)
    link = systems.build("bacrnet2x", cr=cr, binarize=binarize)
    assert validation_nmse_db(link, data.validation()) > 0
    closed_form.start(link, data.first(1000), seed=0)
    path = closed_form.FullyConnectedPath(link)
    linear = validation_nmse_db(path, data.validation())
    whole = validation_nmse_db(link, data.validation())
    assert linear < at_most
    # The knees undo the output's sigmoid up to 0.008 in x, where x lies within 0..1.
    assert whole == pytest.approx(linear, abs=0.2)
    with torch.no_grad():
        x = data.validation()
        assert (link(x) - path(x)).abs().max() < 0.03


# What the fits leave (`identity`), with a tenth more for the coarser grid that they were made on.
@pytest.mark.parametrize(("system", "at_most"), [("bacrnet1x", 0.0086), ("bacrnet4x", 0.003)])
def test_knees_undo_the_sigmoid(data: TrainingData, system: str, at_most: float) -> None:
    torch.manual_seed(0)
    link = systems.build(system, cr=64)
    x = data.first(200)
    identity.make_identity(link, x)
    identity.calibrate(link, x)
    values = torch.linspace(0.01, 0.99, 1024).view(1, 1, 32, 32).expand(1, 2, 32, 32)
    with torch.no_grad():
        out = torch.sigmoid(link.decoder.convolutions(4 * (values - 0.5)))
    assert (out - values).abs().max() < at_most


def test_spread_follows_the_bits(data: TrainingData) -> None:
    x = data.first(300)
    spreads = []
    for bits in (2, 4, None):
        torch.manual_seed(0)
        link = systems.build("bacrnet1x", cr=64, bits=bits)
        closed_form.start(link, x, seed=0)
        path = closed_form.FullyConnectedPath(link)
        with torch.no_grad():
            spreads.append(float(link.encoder.fc(path.straight(x)).std()))
    assert spreads == pytest.approx([1.2, 0.7, 0.2], rel=1e-3)


def test_widened_decoder_computes_the_same(data: TrainingData) -> None:
    torch.manual_seed(0)
    narrow = systems.build("bacrnet1x", cr=64)
    closed_form.start(narrow, data.first(1000), seed=0)
    with torch.no_grad():
        for name, weight in narrow.decoder.named_parameters():
            if name.endswith("last.weight"):
                weight.add_(torch.randn_like(weight))
    wide = systems.build("bacrnet3x", cr=64)
    identity.widen(narrow, wide)
    identity.calibrate(wide, data.first(100), skip=8)
    x = data.validation()
    with torch.no_grad():
        expected, found = narrow.eval()(x), wide.eval()(x)
    # Zero weights add exact zeros; only the order of summation differs.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.01
