"""The networks in torch, one file a system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csideploy import registry
from csideploy.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from csideploy.systems.link import Link


def build(
    system: str | registry.SystemSpec,
    *,
    cr: int = 4,
    bits: int | None = 4,
    binarize: str | None = None,
    feature: registry.Feature | None = None,
) -> Link:
    """The link of a system, with its first weights drawn from torch's generator.

    Args:
        system: its name, or its entry in the registry.
        cr: compression, 4 for 1/4.
        bits: B of a feature, on average where outputs differ; None sends floats.
        binarize: "none", "encoder" or "both"; None: the system's default.
        feature: how the feature is quantized; None: the system's own way.

    Raises:
        InputError: unknown system or option.
        MissingDependencyError: torch (or, for 1-bit layers, brevitas) is not installed.
    """
    spec = registry.get(system) if isinstance(system, str) else system
    registry.check_options(spec, cr, bits, binarize)
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            "building a network needs torch: pip install 'csideploy[train]'"
        ) from missing
    from csideploy.systems import acrnet, bcsinet, crnet, csinet, csinetpro, pca, transnet

    families = {
        "acrnet": acrnet,
        "bcsinet": bcsinet,
        "crnet": crnet,
        "csinet": csinet,
        "csinetpro": csinetpro,
        "pca": pca,
        "transnet": transnet,
    }
    if spec.family not in families:
        raise InputError(f"{spec.name}: family {spec.family!r} has no torch module")
    link: Link = families[spec.family].build(spec, cr, bits, binarize)
    link.quantize_by(feature or registry.Feature(spec.default_quantizer))
    return link
