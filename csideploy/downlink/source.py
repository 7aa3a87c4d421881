"""Where a precoder comes from: computed, from the zoo, or from a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy.baselines.block_diagonal import bd, rbd
from csideploy.baselines.feedback import Distance, weights
from csideploy.baselines.rank1_rzf import rzf
from csideploy.downlink.channels import Complex, dft_pilots, estimator
from csideploy.downlink.schemes import Baselines
from csideploy.downlink.setup import Setup
from csideploy.downlink.tables import Transmit, unpack_indices
from csideploy.downlink.trained_codewords import MOST_BITS, is_codewords, load_codewords
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.direction_receiver import direction_receiver
from csideploy.export.precoder_models import rzf_plan
from csideploy.onnx_oracle import Oracle
from csideploy.payload import Layout
from csideploy.progress import Advance, quiet
from csideploy.runtime import Part

if TYPE_CHECKING:
    from csideploy.training.precoder_export import ExportedPrecoder

COMPUTED = ("bd", "rbd", "rank1-rzf")
"""Systems without weights: made from the set-up and a seed."""


@dataclass(frozen=True)
class PrecoderSource:
    """A precoder before it is a package.

    Attributes:
        system: its name.
        setup: sizes.
        snr_db: P in dB at which the BS will transmit.
        ue: ONNX bytes: y -> codes, payload.
        layout: of one user's payload.
        pilots: (M, L).
        bs: ONNX bytes of a transmitter network: payload -> V; None where it is computed.
        known: codewords, complex (2^B, M, r), where the transmitter is computed from them.
        loading: its regularization, if it has one.
        distance: of the codewords.
        equivariant: whether another order of the users changes nothing but the order of V.
        per_user: whether norms belong to users and not to columns.
        provenance, metrics: for the manifest.
    """

    system: str
    setup: Setup
    snr_db: float
    ue: bytes
    layout: Layout
    pilots: NDArray[np.complex128]
    bs: bytes | None = None
    known: NDArray[np.complex64] | None = None
    loading: float | None = None
    distance: Distance | None = None
    equivariant: bool = True
    per_user: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def power(self) -> float:
        """P, linear; the noise has variance 1."""
        return float(10 ** (self.snr_db / 10))

    @property
    def is_native(self) -> bool:
        """Whether the runtime computes the precoder from codewords, without a network."""
        return self.system == "rank1-rzf"

    def transmitter(self, *, exact: bool) -> Transmit:
        """The function whose table may be made.

        Args:
            exact: of a network: by our executor, sample by sample, so that a table of floats has
                its bits; else by ONNX Runtime in batches, which is much faster.
        """
        if self.bs is not None and not exact:
            oracle = Oracle(self.bs, name="bs.onnx", threads=0)
            return lambda payload: oracle.run(payload)["V"]
        if self.bs is not None:
            plan = compile_model(onnx.load_model_from_string(self.bs), part="precoder", side="bs")
            return _by_part(write_bundle(plan))
        assert self.known is not None
        if self.is_native:
            return _by_part(write_bundle(self.native_plan()))
        return lambda payload: as_real(self.oracle(payload)).astype(np.float32)

    def native_plan(self, **about: Any) -> Any:
        """The plan of `rank1-rzf` at the BS."""
        assert self.known is not None
        assert self.loading is not None
        codewords = np.ascontiguousarray(self.known[:, :, 0])[..., None].view(np.float32)
        setup = self.setup
        return rzf_plan(
            codewords,
            users=setup.users,
            streams=setup.streams,
            bits=setup.bits,
            loading=self.loading,
            **about,
        )

    def oracle(self, payload: NDArray[np.uint8]) -> Complex:
        """A computed transmitter in complex128, (n, K, M, N): what native parts are judged by."""
        assert self.known is not None
        words = self.known.astype(np.complex128)[unpack_indices(self.setup, payload)]
        if self.system == "bd":
            return bd(words)
        assert self.loading is not None
        # The runtime is told the loading in float32.
        loading = float(np.float32(self.loading))
        if self.system == "rbd":
            return rbd(words, loading)
        return rzf(words[..., 0], loading, self.setup.streams)


def _by_part(bundle: bytes) -> Transmit:
    part = Part(bundle)
    return lambda payload: part.run(payload)[0]


def as_complex(v: NDArray[np.floating]) -> Complex:
    """V of a part, (n, K, N, M, 2), as precoding matrices (n, K, M, N)."""
    pairs = np.ascontiguousarray(v)
    found: Complex = pairs.view(np.result_type(pairs.dtype, np.complex64))[..., 0]
    return found.swapaxes(-1, -2)


def as_real(v: Complex) -> NDArray[np.floating]:
    """The reverse of `as_complex`."""
    turned = np.ascontiguousarray(v.swapaxes(-1, -2))
    return turned[..., None].view(turned.real.dtype)


def computed(
    system: str,
    setup: Setup,
    *,
    snr_db: float,
    seed: int,
    distance: Distance | None = None,
    progress: Advance = quiet,
) -> PrecoderSource:
    """`rank1-rzf`, `bd` or `rbd` with a codebook of its own.

    Args:
        system: one of `COMPUTED`.
        setup: sizes, B at most 8.
        snr_db: P in dB.
        seed: of the codebook and of the regularization's channels.
        distance: None: for rank1-rzf the better one at this P, "chordal" for the others, whose
            receiver is a projection for that distance alone.
        progress: of the codebook.

    Raises:
        InputError: no such system or distance, or B above 8.
    """
    if system not in COMPUTED:
        raise InputError(f"{system!r} is not computed: one of {', '.join(COMPUTED)}")
    if setup.bits > MOST_BITS:
        raise InputError(f"{system} with {setup.bits} bits: codebooks have at most {MOST_BITS}")
    rank = 1 if system == "rank1-rzf" else setup.streams
    if distance == "sinr" and system != "rank1-rzf":
        raise InputError(f"{system}: a receiver of the distance sinr is there for rank1-rzf only")
    power = float(10 ** (snr_db / 10))
    baselines = Baselines(setup, seed=seed, progress=progress)
    chosen: Distance = distance or "chordal"
    if distance is None and system == "rank1-rzf":
        chosen = baselines.better_distance(power)
    scheme = baselines.scheme(system, power, chosen)
    return _of_codewords(
        system,
        setup,
        baselines.codebook(rank),
        snr_db=snr_db,
        loading=scheme.loading,
        distance=chosen,
        provenance={"source": "computed", "seed": seed, "distance": chosen},
    )


def _of_codewords(
    system: str,
    setup: Setup,
    known: NDArray[np.complex64],
    *,
    snr_db: float,
    loading: float | None,
    distance: Distance,
    provenance: dict[str, Any],
) -> PrecoderSource:
    """A precoder from its codewords (2^B, M, r) and the loading of its transmitter."""
    pilots = dft_pilots(setup)
    searched: float | None = 0.0
    if distance == "sinr":
        noise, around = weights(setup, float(10 ** (snr_db / 10)), known.shape[2])
        searched = noise / around if around > 0 else None
    receiver = direction_receiver(
        known, estimator(setup, pilots), streams=setup.streams, loading=searched
    )
    return PrecoderSource(
        system=system,
        setup=setup,
        snr_db=snr_db,
        ue=receiver.SerializeToString(),
        layout=Layout.uniform(1, setup.bits),
        pilots=pilots,
        known=known,
        loading=loading,
        distance=distance,
        per_user=system == "rbd",
        provenance=provenance,
    )


def from_checkpoint(path: Path, snr_db: float | None) -> PrecoderSource:
    """Weights that `csideploy train` wrote; those of kd-precoder need the extra `train`.

    Raises:
        InputError: no such file, receivers of their own for every user, a P that it was not trained
            for, or none for a network that was trained for several. FormatError: it is no
            checkpoint of a precoder. MissingDependencyError: torch or safetensors is not installed.
    """
    if not is_codewords(path):
        return from_export(exported(path), path, snr_db)
    made = load_codewords(path)
    system = made.about["system"]
    if snr_db is not None and snr_db != made.snr_db:
        raise InputError(f"{system}: trained for {made.snr_db:g} dB, not {snr_db:g}")
    return _of_codewords(
        system,
        made.setup,
        made.known[:, :, None],
        snr_db=made.snr_db,
        loading=made.loading,
        distance=made.distance,
        provenance={"source": "checkpoint", "file": path.name, **made.about},
    )


@lru_cache(maxsize=4)
def exported(path: Path) -> ExportedPrecoder:
    """The networks of a checkpoint; kept, since torch takes seconds to export them."""
    from csideploy.training import export_precoder

    return export_precoder(path)


def trained_for(trained: float | list[float], snr_db: float) -> bool:
    """Whether a P in dB is what a network was trained for: one number, or [least, most]."""
    low, high = trained if isinstance(trained, list) else (trained, trained)
    return low <= snr_db <= high


def from_export(made: ExportedPrecoder, path: Path, snr_db: float | None) -> PrecoderSource:
    """As `from_checkpoint`, of networks that are exported already."""
    return from_networks(
        ue=made.ue,
        bs=made.bs,
        about={**made.about, "pilots": made.pilots},
        snr_db=snr_db,
        provenance={"source": "checkpoint", "file": path.name, **made.about},
    )


def from_zoo(
    name: str, snr_db: float | None, sizes: dict[str, Any] | None = None
) -> PrecoderSource:
    """A precoder that comes with csideploy.

    Args:
        name: of the entry, or of the system.
        snr_db: P to make it for; None: what it was trained for.
        sizes: of the set-up that are asked for.

    Raises:
        InputError: no such entry. FormatError: a file is not its card's.
    """
    from csideploy import zoo

    entry = zoo.find_precoder(name, sizes)
    files = {file: zoo.checked_file(entry, file) for file in entry.files}
    return from_networks(
        ue=files["ue.onnx"],
        bs=files["bs.onnx"],
        about=entry.card,
        snr_db=snr_db,
        provenance={"source": "zoo", "entry": entry.path.name, "card": entry.card},
    )


def from_networks(
    *,
    ue: bytes,
    bs: bytes,
    about: dict[str, Any],
    snr_db: float | None,
    provenance: dict[str, Any],
) -> PrecoderSource:
    """A trained precoder from its two networks.

    Args:
        ue: y -> codes, payload.
        bs: payload, and `snr_db` (n, 1) if it was trained for several P -> V.
        about: system, setup, options (`order`), and `snr_db`: one number, or [least, most].
        snr_db: P to make it for; None: what it was trained for.
        provenance: for the manifest.

    Raises:
        InputError: a P that it was not trained for, or none where there are several.
    """
    setup = Setup(**about["setup"])
    trained = about["snr_db"]
    if isinstance(trained, list):
        least, most = trained
        if snr_db is None or not least <= snr_db <= most:
            raise InputError(
                f"{about['system']}: trained for {least:g} to {most:g} dB; say --snr DB in between"
            )
        bs = _at_power(bs, snr_db)
    elif snr_db is not None and snr_db != trained:
        raise InputError(f"{about['system']}: trained for {trained:g} dB, not {snr_db:g}")
    pilots = about.get("pilots")
    if pilots is None:
        pilots = dft_pilots(setup)
    elif isinstance(pilots, list):
        # Of a card: pairs (re, im).
        pilots = np.array(pilots, np.float64).view(np.complex128)[..., 0]
    return PrecoderSource(
        system=about["system"],
        setup=setup,
        snr_db=float(trained if snr_db is None else snr_db),
        ue=ue,
        layout=Layout.uniform(setup.bits, 1),
        pilots=np.asarray(pilots, np.complex128),
        bs=bs,
        equivariant=about["options"]["order"] == "sorted",
        provenance=provenance,
        metrics=about.get("metrics", {}),
    )


def _at_power(bs: bytes, snr_db: float) -> bytes:
    """The transmitter with its input `snr_db` (n, 1) replaced by a number."""
    model = onnx.load_model_from_string(bs)
    kept = [info for info in model.graph.input if info.name != "snr_db"]
    if len(kept) == len(model.graph.input):
        raise InputError("a transmitter trained for several P, without an input snr_db")
    del model.graph.input[:]
    model.graph.input.extend(kept)
    helper, array = onnx.helper, onnx.numpy_helper.from_array
    constants: dict[str, NDArray[Any]] = {
        "power.flat": np.array([0, -1], np.int64),
        "power.none": np.zeros((1, 1), np.float32),
        "power.snr": np.full((1, 1), snr_db, np.float32),
        "power.first": np.array([0], np.int64),
        "power.one": np.array([1], np.int64),
    }
    model.graph.initializer.extend(array(data, name) for name, data in constants.items())
    # A number for every sample of the batch: a byte of each times 0, plus the number.
    nodes = [
        helper.make_node("Reshape", ["payload", "power.flat"], ["power.bytes"]),
        helper.make_node(
            "Slice", ["power.bytes", "power.first", "power.one", "power.one"], ["power.byte"]
        ),
        helper.make_node("Cast", ["power.byte"], ["power.real"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["power.real", "power.none"], ["power.zeros"]),
        helper.make_node("Add", ["power.zeros", "power.snr"], ["snr_db"]),
    ]
    for number, node in enumerate(nodes):
        node.name = f"power.{number}"
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    data: bytes = model.SerializeToString()
    return data
