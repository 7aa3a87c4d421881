"""The reported figures, and that the default codebooks are those of our uniform quantizer."""

import numpy as np
import pytest

from csideploy.errors import InputError
from csideploy.profiles import r20_case0 as rules
from csideploy.profiles.r20_case0 import Pair


@pytest.mark.parametrize("bits", [1, 2])
def test_the_default_codebooks_are_the_middles_of_equal_cells(bits: int) -> None:
    torch = pytest.importorskip("torch", reason="the quantizer of the systems is a torch module")
    from csideploy.quantizers.uniform import UniformQuantizer

    quantizer = UniformQuantizer(bits)
    codes = torch.arange(2**bits, dtype=torch.uint8)
    assert quantizer.values(codes).tolist() == list(rules.CODEBOOKS[bits])
    # Every x goes to the nearest value, which a codebook's receiver relies on.
    x = torch.linspace(0, 1, 1001)
    book = np.array(rules.CODEBOOKS[bits])
    nearest = np.abs(x.numpy()[:, None] - book).min(axis=1)
    taken = np.abs(x.numpy() - book[quantizer.codes(x).numpy()])
    # Both are differences of float32 numbers near 1.
    np.testing.assert_allclose(taken, nearest, atol=1e-6)


def test_the_reported_pairs() -> None:
    """The table of the notes, spelled out."""
    lower = [(32, 2), (64, 2), (96, 2), (128, 2), (192, 2), (32, 1)]
    assert {layer: [tuple(p) for p in own] for layer, own in rules.PAIRS.items()} == {
        **{1: lower, 2: lower, 3: lower},
        4: [(32, 2), (64, 2), (96, 2), (32, 1)],
    }
    assert [p.outputs * p.bits for p in rules.PAIRS[1]] == [64, 128, 192, 256, 384, 32]
    layers = {pair: rules.layers_of(Pair(*pair)) for pair in lower}
    assert layers == {**dict.fromkeys(lower, 4), (128, 2): 3, (192, 2): 3}
    assert rules.layers_of(Pair(64, 1)) == 0


@pytest.mark.parametrize(
    ("outputs", "bits", "quantizer", "says"),
    [
        (512, 4, "uniform", "512 outputs of 4 bits"),
        (64, 1, "uniform", "64 outputs of 1 bits"),
        (64, 2, "codebook", "the quantizer codebook"),
        (64, 2, "round", "the quantizer round"),
        (64, None, "uniform", "float features"),
        (64, None, None, "float features"),
    ],
)
def test_other_payloads_are_refused(
    outputs: int, bits: int | None, quantizer: str | None, says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        rules.check_pair(outputs, bits, quantizer)
    # With what there is, and what to change.
    assert "{32, 2}, {64, 2}, {96, 2}, {128, 2}, {192, 2}, {32, 1}" in str(caught.value)
    assert "--cr 64" in str(caught.value)
