"""What the rows of a 3GPP evaluation table say of a link in words: backbone, data, quantizer.

Only what the package itself says: the registry's families, the manifest, and the card or checkpoint
of its weights. What none of them says is None, an empty cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csideploy.package import LinkPackage
from csideploy.profiles.described import about, section
from csideploy.registry import ELEMENTS, SYSTEMS, SystemSpec

FAMILIES = {
    "acrnet": "CNN, ACRNet-{width}x",
    "csinet": "CNN, CsiNet",
    "crnet": "CNN, CRNet",
    "csinetpro": "CNN, CsiNet-Pro",
    "bcsinet": "CNN, BCsiNet with {width} refine blocks",
    "transnet": "Transformer, TransNet",
    "pca": "linear, principal components",
}
CSI = (
    "channel matrix of one receive antenna, angular-delay domain, 32 x 32 complex numbers of unit "
    "maximum (no eigenvectors by sub-band)"
)
BEFORE = "FFT to the angular-delay domain, first 32 delays kept, x = 0.5 + H / (2 max|H|)"
AFTER = "H = 2 (x - 0.5); zeros for the delays left out and FFT to subcarriers on request"


def backbone(link: LinkPackage, side: str) -> str:
    """`CNN, ACRNet-10x; fully connected layer of 1-bit weights; int8`."""
    m = link.manifest
    spec: SystemSpec | None = SYSTEMS.get(m["system"])
    if spec is None:
        words = str(m["system"])
    else:
        words = FAMILIES.get(spec.family, spec.name).format(width=spec.width)
    if m["binarize"] == "both" or (m["binarize"] == "encoder" and side == "ue"):
        words += "; fully connected layer of 1-bit weights"
    if link.name_of(side, "csib") == f"{side}.csib":
        return words
    mixed = any(part.get("precision") == "mixed" for part in m["parts"])
    return f"{words}; int8 in the layers that hold the work" if mixed else f"{words}; int8"


def sent(link: LinkPackage) -> str:
    """What the generation part does after its network."""
    kinds = {
        None: "none: floats are fed back",
        "uniform": "sigmoid, uniform scalar quantizer, bits packed",
        "round": "equal cells over the range of an output, bits packed",
        "codebook": "scalar codebook an output, bits packed",
        "vector": "nearest codeword of groups of outputs, bits packed",
    }
    return kinds[link.manifest.get("quantizer") if link.layouts else None]


def received(link: LinkPackage) -> str:
    """What the reconstruction part does before its network."""
    return "bits unpacked, values of the codes" if link.layouts else "none"


def quantization(link: LinkPackage) -> str:
    """Method, payload, and whether training knew of it."""
    if not link.layouts:
        return "none: floats are fed back"
    kind = link.manifest.get("quantizer")
    method = "VQ" if kind == "vector" else "SQ"
    payloads = " or ".join(
        f"{layout.count} codes, {layout.payload_bits:,} bits" for layout in link.layouts
    )
    if kind == "uniform":
        bits = link.layouts[-1].bits
        method += f", uniform, {bits} bits an output, values (code + 0.5) / {1 << bits}"
    elif kind == "codebook":
        method += f", a codebook an output, {link.budgets} bits an output on average"
    elif kind == "vector":
        method += ", codewords for groups of outputs"
    else:
        method += f", equal cells, {link.budgets} bits an output"
    return f"{method}; {payloads}; {_awareness(link) or 'training awareness not recorded'}"


def _awareness(link: LinkPackage) -> str | None:
    """Case 1, 2-1 or 2-2 by the recipe; None where none is recorded."""
    stages = section(_about(link), "recipe").get("stages")
    if not isinstance(stages, list) or not stages or not isinstance(stages[-1], Mapping):
        return None
    spec = SYSTEMS.get(link.manifest["system"])
    # The key is younger than some cards: all stages were trained through the quantizer then.
    through = stages[-1].get("feature", "quantized") == "quantized"
    if not through or (spec is not None and spec.family == "pca"):
        return "training not aware of it (Case 1 [M])"
    if link.manifest.get("quantizer") in ("codebook", "vector"):
        return "learned with the network (Case 2-2 [M])"
    return "fixed, in training (Case 2-1 [M])"


def ranks(link: LinkPackage) -> str:
    """What happens above rank 1."""
    profile = link.manifest.get("profile")
    if profile is None:
        return "rank 1: one sample is one layer"
    pairs = ", ".join(f"{{{m}, {q}}}" for m, q in profile["layer_payload_pairs"])
    return (
        f"layer-common: the same two parts for each layer, up to rank {profile['rank']}; pairs of "
        f"the layers {pairs}, {profile['release']}: {profile['status']}"
    )


def trained_on(link: LinkPackage) -> float | None:
    """Samples / 1000 that the weights were trained on."""
    return _thousands(section(_about(link), "data").get("samples"))


def tested_on(link: LinkPackage, compared: Sequence[Mapping[str, Any]]) -> str | float | None:
    """Samples / 1000 that the table's figures come from.

    Args:
        link: the package.
        compared: of `evaluation_gains.compare`. If a file has figures of the package, they are
            its samples; otherwise those of the weights' card.
    """
    files = _files(compared)
    if not files:
        return _thousands(_card_samples(link))
    if len(files) == 1:
        return _thousands(files[0][1])
    return "; ".join(f"{_thousands(samples)} ({channels})" for channels, samples in files)


def tested_by_card(link: LinkPackage) -> str | None:
    """What the card's own figures were measured on: `20,000 samples, generated indoor ...`."""
    samples = _card_samples(link)
    channels = _generated(section(_about(link), "test_data"))
    count = f"{samples:,} samples" if type(samples) is int else None
    return ", ".join(own for own in (count, channels) if own) or None


def _card_samples(link: LinkPackage) -> object:
    samples = section(_about(link), "test_data").get("samples")
    return section(link.manifest, "metrics").get("samples") if samples is None else samples


def _files(compared: Sequence[Mapping[str, Any]]) -> list[tuple[str | None, object]]:
    """Channels and samples of the files that have figures of the package, each once."""
    own = [(one["channels"], one["samples"]) for one in compared if one["bits"] is not None]
    return list(dict.fromkeys(own))


def _thousands(samples: object) -> float | None:
    if type(samples) is not int:
        return None
    return samples // 1000 if samples % 1000 == 0 else samples / 1000


def ground_truth(link: LinkPackage) -> str | None:
    """None where the weights do not say what they were trained on."""
    if not section(_about(link), "data"):
        return None
    return f"none; {ELEMENTS:,} numbers a sample, float16 as stored"


def ground_truth_saving(link: LinkPackage) -> str | None:
    """Of float16, in which training keeps every sample, against Float32."""
    return None if ground_truth(link) is None else "50 % (float16 as stored)"


def assumptions(link: LinkPackage, compared: Sequence[Mapping[str, Any]]) -> str | None:
    """Channels: of the training as the card says, of the test as `tested_on`."""
    trained = _generated(section(_about(link), "data"))
    tested = [channels for channels, _ in _files(compared)]
    if not tested:
        tested = [_generated(section(_about(link), "test_data"))]
    words = [f"trained on {trained}"] if trained else []
    words += [f"tested on {own}" for own in tested if own]
    return "; ".join(words) or None


def _generated(data: Mapping[str, Any]) -> str | None:
    if data.get("scenario") in (None, "unknown"):
        return None
    return f"generated {data['scenario']} channels, seed {data.get('seed')}"


def _about(link: LinkPackage) -> Mapping[str, Any]:
    return about(link.manifest.get("provenance"))
