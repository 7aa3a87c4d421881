"""Behaviour that every system's link must have."""

import pytest
import torch

from csideploy import registry, systems
from csideploy.errors import InputError
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.uniform import UniformQuantizer
from csideploy.quantizers.vector import VectorQuantizer
from csideploy.registry import Feature
from csideploy.systems.link import Link

BOUNDED = ("acrnet1x", "bacrnet2x", "csinet", "csinetpro", "crnet", "bcsinet-a2", "bcsinet-b3")
LINEAR = ("pca", "transnet")
NAMES = (*BOUNDED, *LINEAR)
UNIFORM = Feature("uniform")


def samples(count: int) -> torch.Tensor:
    """CSI-like input: small deviations from 0.5, never zero."""
    return 0.5 + 0.1 * torch.randn(count, 2, 32, 32, generator=torch.Generator().manual_seed(7))


def lively(name: str, **options: object) -> Link:
    """A link whose batch norms have seen data, so that evaluation is not at their first state."""
    torch.manual_seed(3)
    link = systems.build(name, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        link.train()(samples(16))
    return link.eval()


@pytest.mark.parametrize("name", NAMES)
def test_one_sample_does_not_depend_on_the_others(name: str) -> None:
    link = lively(name, bits=None)
    x = samples(6)
    with torch.no_grad():
        together = link(x)
        alone = torch.cat([link(one) for one in torch.split(x, 1)])
    # Only the order of summation may differ between batch sizes.
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert together.std(0).max() > 1e-4, "outputs must depend on the sample at all"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("cr", "bits"), [(4, 4), (64, 1), (16, None)])
def test_shapes_and_ranges(name: str, cr: int, bits: int | None) -> None:
    link = lively(name, cr=cr, bits=bits, feature=UNIFORM)
    x = samples(3)
    with torch.no_grad():
        feature = link.encoder(x)
        out = link(x)
    assert feature.shape == (3, 2048 // cr)
    assert out.shape == x.shape
    if name in BOUNDED:
        assert 0 < out.min() <= out.max() < 1
    if bits is not None:
        assert 0 < feature.min() <= feature.max() < 1


@pytest.mark.parametrize("name", LINEAR)
def test_linear_decoders_are_not_bounded(name: str) -> None:
    link = lively(name, cr=16, bits=None)
    if name == "transnet":
        # Its last norm starts with outputs near 0.5; training may widen them.
        link.decoder.convolutions.layers.norm.weight.data.fill_(1.0)
    with torch.no_grad():
        # Far from what CSI makes, so that it shows.
        out = link.decoder(20 * torch.randn(8, 128, generator=torch.Generator().manual_seed(1)))
    assert out.min() < 0
    assert out.max() > 1


@pytest.mark.parametrize("name", ["csinet", "csinetpro", "acrnet1x", "transnet", "pca"])
@pytest.mark.parametrize(
    ("feature", "kind"),
    [
        (Feature("codebook"), CodebookQuantizer),
        (Feature("codebook", budgets=(2, 4)), CodebookQuantizer),
        (Feature("vector", length=2), VectorQuantizer),
        (Feature("round"), UniformQuantizer),
    ],
)
def test_features_of_learned_quantizers_are_not_bounded(
    name: str, feature: Feature, kind: type[torch.nn.Module]
) -> None:
    torch.manual_seed(3)
    link = systems.build(name, cr=64, bits=4, feature=feature).eval()
    assert isinstance(link.quantizer, kind)
    assert link.feature == feature
    with torch.no_grad():
        link.encoder.fc.weight.mul_(20)
        z = link.encoder(samples(8))
        assert z.min() < 0
        assert z.max() > 1
        # It is the encoder of the float link, state dict and all.
        plain = systems.build(name, cr=64, bits=None).eval()
        plain.encoder.load_state_dict(link.encoder.state_dict())
        assert torch.equal(plain.encoder(samples(8)), z)
        link.bypass = True
        assert torch.equal(link(samples(8)), link.decoder(z))


def test_budgets_of_a_link() -> None:
    link = systems.build("csinet", cr=64, bits=3)
    assert isinstance(link.quantizer, UniformQuantizer)
    link = systems.build("pca", cr=64, bits=3)
    assert isinstance(link.quantizer, CodebookQuantizer)
    assert (link.quantizer.budgets, link.quantizer.active) == ((3,), 3)
    link = systems.build("csinet", cr=64, bits=3, feature=Feature("codebook", budgets=(4, 2, 3)))
    assert isinstance(link.quantizer, CodebookQuantizer)
    assert (link.quantizer.budgets, link.quantizer.active) == ((2, 3, 4), 3)
    for name in ("pca", "csinet"):
        link = systems.build(name, cr=64, bits=None, feature=Feature("codebook"))
        assert link.quantizer is None
        assert link.feature == UNIFORM, "floats pass no codebook"
    with pytest.raises(InputError, match="none of"):
        systems.build("csinet", cr=64, bits=4, feature=Feature("codebook", budgets=(2, 3)))
    with pytest.raises(InputError, match="10 bits a code"):
        systems.build("csinet", cr=64, bits=5, feature=Feature("vector", length=2))


@pytest.mark.parametrize("name", ["csinetpro", "transnet"])
def test_training_reaches_every_parameter_of(name: str) -> None:
    torch.manual_seed(1)
    link = systems.build(name, cr=64)
    (link(samples(4)) - samples(4)).square().mean().backward()
    without = [name for name, p in link.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_training_reaches_every_parameter() -> None:
    link = systems.build("bacrnet1x", binarize="both")
    (link(samples(4)) - samples(4)).square().mean().backward()
    without = [name for name, p in link.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("bacrnet21x", {}, "bacrnet2"),
        ("quux", {}, "csideploy systems"),
        ("csinet", {"cr": 5}, "1/4"),
        ("csinet", {"bits": 9}, "1..8"),
        ("csinet", {"bits": 0}, "1..8"),
        ("csinet", {"binarize": "decoder"}, "encoder or both"),
    ],
)
def test_bad_options(name: str, options: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        systems.build(name, **options)  # type: ignore[arg-type]


def test_entry_names() -> None:
    spec = registry.get("bacrnet10x")
    assert registry.entry_name(spec, 4, 4, "encoder") == "bacrnet10x"
    assert registry.entry_name(spec, 4, 4, "both") == "bacrnet10x-both"
    assert registry.entry_name(spec, 8, None, "encoder") == "bacrnet10x-cr8-bfloat"
    assert registry.entry_name(spec, 4, 2, "none") == "bacrnet10x-b2-none"
    pca = registry.get("pca")
    assert registry.entry_name(pca, 8, 4, "none", "codebook") == "pca-cr8"
    assert registry.entry_name(pca, 8, None, "none", "uniform") == "pca-cr8-bfloat"
    assert registry.entry_name(spec, 4, 4, "encoder", "codebook") == "bacrnet10x-codebook"
