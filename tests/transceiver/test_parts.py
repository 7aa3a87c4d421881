"""A transceiver's bundles against the torch networks and the float64 search of codewords."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the weights of these tests are a torch network's")

from small_transceiver import SETUP, WIDTHS, gaussian, small_weights, torch_net  # noqa: E402

from csideploy.compare import float_error  # noqa: E402
from csideploy.errors import InputError  # noqa: E402
from csideploy.export.macs import costs  # noqa: E402
from csideploy.export.plan import Op  # noqa: E402
from csideploy.quantizers.residual import encode, indices_to_bits  # noqa: E402
from csideploy.systems.rvq_egat import NODE, Widths  # noqa: E402
from csideploy.transceiver import costs as formulas  # noqa: E402
from csideploy.transceiver.evaluate_core import measure  # noqa: E402
from csideploy.transceiver.parts import (  # noqa: E402
    Deployed,
    Parts,
    dequantizer_onnx,
    precoder_onnx,
    quantizer_onnx,
    trained_budgets,
)
from csideploy.transceiver.setup import Setup  # noqa: E402
from csideploy.transceiver.weights import Weights  # noqa: E402

FORMS = {
    "anchored": WIDTHS,
    "edge": dataclasses.replace(WIDTHS, anchor="none"),
    "node": dataclasses.replace(WIDTHS, form="node"),
    "node without anchor": dataclasses.replace(WIDTHS, form="node", anchor="none"),
}
BITS = (3, 4, 8, 11)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return small_weights()


@pytest.fixture(scope="module")
def deployed(weights: Weights) -> Deployed:
    return Deployed(weights, BITS, max_users=5)


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Within 1e-4 max(1, max|b|), the bound of float parts."""
    error, bound = float_error(ours, theirs)
    return error <= bound


@pytest.mark.parametrize("name", FORMS)
def test_features_and_precoders_are_those_of_torch(name: str) -> None:
    weights = small_weights(widths=FORMS[name])
    running, net = Deployed(weights, (8,), max_users=5), torch_net(weights)
    for users in range(1, 6):
        h, noise = gaussian(users, 7, users, 4), gaussian(100 + users, 7, users, 2)
        snr_db = np.linspace(-5, 25, 7, dtype=np.float32)
        y = running.hear(h, noise, 10 ** (snr_db.astype(float) / 10))
        feature = running.features(y)
        with torch.no_grad():
            heard = net.hear(
                torch.from_numpy(h.astype(np.complex64)),
                torch.from_numpy(noise.astype(np.complex64)),
                torch.from_numpy(snr_db[:, None]),
            )
            assert close(y.reshape(heard.shape), heard.numpy())
            theirs = net.extractor(torch.from_numpy(y.reshape(-1, 2, 2))).numpy()
            w = net.graph(torch.from_numpy(feature), torch.from_numpy(snr_db[:, None])).numpy()
        assert close(feature.reshape(theirs.shape), theirs)
        ours = running.precode(feature, snr_db)
        assert ours.shape == (7, users, 4)
        assert close(ours[..., None].view(np.float32), w)


@pytest.mark.parametrize("bits", BITS)
def test_payloads_are_the_exhaustive_search_packed(deployed: Deployed, bits: int) -> None:
    feature = deployed.made.weights.features[:300]
    books = deployed.made.codebooks[bits, 0]
    tiers = [len(book).bit_length() - 1 for book in books]
    assert sum(tiers) == bits
    indices = encode(feature, books)
    payload = deployed.payload(feature, bits)
    assert (payload == np.packbits(indices_to_bits(indices, tiers), axis=1)).all()
    summed = np.zeros_like(feature)
    for tier, book in enumerate(books):
        summed += book[indices[:, tier]]
    # The same additions in the same order.
    assert (deployed.read(payload, bits) == summed).all()


def test_a_link_is_its_parts_in_a_row(deployed: Deployed) -> None:
    h, noise = gaussian(1, 9, 3, 4), gaussian(2, 9, 3, 2)
    feature = deployed.features(deployed.hear(h, noise, 10.0))
    read = deployed.read(deployed.payload(feature, 8), 8)
    w = deployed.link(h, noise, 10.0, 8)
    assert (w == deployed.precode(read, 10.0)).all()
    assert np.allclose((np.abs(w) ** 2).sum((1, 2)), 1, atol=1e-6)
    found = measure({"own": deployed.link}, h, 10.0, bits=8, pilots=2, seed=0)
    assert 0.1 < found.average("own").mean < 10


def test_regions_have_codebooks_of_their_own() -> None:
    weights = small_weights(Setup(4, 2, 8, (4, 4), 2))
    running = Deployed(weights, (8,), max_users=2)
    feature = weights.features[:50]
    for region in (0, 1):
        books = weights.codebooks(region)
        bits = indices_to_bits(encode(feature, books), [4, 4])
        assert (running.payload(feature, 8, region) == np.packbits(bits, axis=1)).all()
    assert {p.payload.layout_id for p in running.parts.values() if p.payload} == {0x0408, 0x0448}
    h, noise = gaussian(1, 5, 2, 4), gaussian(2, 5, 2, 2)
    region = np.array([[0, 1]] * 5)
    feature = running.features(running.hear(h, noise, 10.0))
    read = np.stack(
        [running.read(running.payload(feature[:, k], 8, k), 8, k) for k in (0, 1)], axis=1
    )
    assert (running.link(h, noise, 10.0, 8, region) == running.precode(read, 10.0)).all()
    with pytest.raises(InputError, match="say which region"):
        running.link(h, noise, 10.0, 8)


def test_single_models_are_those_of_the_parts(weights: Weights) -> None:
    parts = Parts(weights, (11,))
    for stem, model in (
        ("ue-quantizer-b11", quantizer_onnx(weights, 11)),
        ("bs-quantizer-b11", dequantizer_onnx(weights, 11)),
        ("bs", precoder_onnx(weights)),
    ):
        assert parts.onnx(stem) == model.SerializeToString()


def test_trained_budgets_are_the_tiers_summed() -> None:
    assert trained_budgets(Setup()) == (10, 20, 30)
    # A layout id has room for 63 bits.
    assert trained_budgets(Setup(tiers=(16, 16, 16, 16, 16))) == (16, 32, 48)


@pytest.mark.parametrize(
    ("bits", "users", "line"),
    [
        ((), 4, "--bits : numbers of bits a user, 1 to 63"),
        ((0,), 4, "1 to 63"),
        ((64,), 4, "1 to 63"),
        ((8,), 0, "--max-users 0: 1 to 64"),
        ((8,), 65, "--max-users 65: 1 to 64"),
    ],
)
def test_bad_sizes(weights: Weights, bits: tuple[int, ...], users: int, line: str) -> None:
    with pytest.raises(InputError, match=line):
        Parts(weights, bits, users)


def test_bad_inputs(deployed: Deployed) -> None:
    h, noise = gaussian(1, 3, 2, 4), gaussian(2, 3, 2, 2)
    for bad, line in (
        ((h, noise, 10.0, 5), "--bits 5: the package has 3, 4, 8, 11 bits"),
        ((h[:, :, :3], noise, 10.0, 8), r"\(n, K, 4\) and"),
        ((h, noise[:, :1], 10.0, 8), r"\(n, K, 2\) are right"),
        ((h, noise, 0.0, 8), "SNR 0.0: a number above 0"),
        ((h, noise, np.nan, 8), "SNR nan"),
    ):
        with pytest.raises(InputError, match=line):
            deployed.link(*bad)
    with pytest.raises(InputError, match="region 1: there are 0 to 0"):
        deployed.read(np.zeros((1, 1), np.uint8), 8, 1)
    six = gaussian(1, 3, 6, 4), gaussian(2, 3, 6, 2)
    with pytest.raises(InputError, match=r"6 users, the part takes 1\.\.5"):
        deployed.link(*six, 10.0, 8)
    with pytest.raises(InputError, match="int8 needs --calibration F"):
        Deployed(deployed.made.weights, (8,), precision="int8")


def test_integers_stay_near_floats(deployed: Deployed) -> None:
    weights = deployed.made.weights
    h, noise = gaussian(5, 200, 1, 4), gaussian(6, 200, 1, 2)
    y = deployed.hear(h, noise, 10.0)
    eight = Deployed(weights, (8,), 5, "int8", calibration=y[:, 0])
    apart = eight.features(y) - deployed.features(y)
    # 8 bits of values in (-1, 1) that passed two hidden layers: some steps of 2 / 256.
    assert 0 < np.sqrt(np.mean(apart**2)) < 0.03
    h, noise = gaussian(7, 50, 4, 4), gaussian(8, 50, 4, 2)
    w, exact = (one.precode(deployed.features(deployed.hear(h, noise, 10.0)), 10.0)
                for one in (eight, deployed))  # fmt: skip
    assert 0 < np.sum(np.abs(w - exact) ** 2) / np.sum(np.abs(exact) ** 2) < 0.02


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("users", [1, 3, 5])
def test_closed_formulas_are_those_of_the_networks(name: str, users: int) -> None:
    weights = small_weights(widths=FORMS[name])
    net, setup, widths = torch_net(weights), weights.setup, weights.widths
    counted = {
        part: sum(p.numel() for p in module.parameters())
        for part, module in (("encoder", net.extractor), ("precoder", net.graph))
    }
    # The norm's two numbers of each hidden unit are folded.
    assert formulas.encoder(setup, widths)["parameters"] == counted["encoder"] - 2 * (24 + 16)
    own = formulas.precoder(setup, widths, users)
    # The anchor's start of the channel is counted as the matrix that it is.
    assert own["parameters"] == counted["precoder"]
    parts = Parts(weights, (8,), users)
    linear = [c.macs for c in costs(parts.plan("ue")) if c.op == Op.LINEAR.name]
    assert formulas.encoder(setup, widths)["macs"] == sum(linear)
    kinds = (Op.LINEAR.name, Op.EDGE_ATTENTION.name)
    counts = [c.macs for c in costs(parts.plan("bs")) if c.op in kinds]
    assert own["macs"] == sum(counts)
    scan = sum(c.macs for c in costs(parts.plan("ue-quantizer-b8")))
    assert formulas.quantizer(setup) == {"macs": scan, "parameters": 2 * 16 * 8}


def test_the_paper_s_widths_are_the_defaults_of_the_networks() -> None:
    assert Widths(anchor="none").describe() == formulas.PAPER_WIDTHS
    node = {"form": "node", "start": [1024, 512], "layers": 2, "end": 256}
    assert NODE.describe() == {**formulas.PAPER_WIDTHS, **node}
    assert SETUP.bits == 8
