"""Checks of a precoder's package: our runtime, ONNX Runtime or float64 NumPy, golden vectors."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.band import band_of
from csideploy.baselines.rank1_rzf import rzf
from csideploy.compare import CodeCount, FloatError
from csideploy.downlink.channels import observe, rayleigh
from csideploy.downlink.rate import user_rates
from csideploy.downlink.setup import Setup
from csideploy.downlink.source import as_complex, as_real
from csideploy.downlink.tables import unpack_indices
from csideploy.errors import FormatError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import Op, Plan
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.package import LinkPackage
from csideploy.progress import Advance, quiet
from csideploy.validate_bundle import check

SAMPLES = 500
CHUNK = 50


def validate_precoder(
    package: LinkPackage, *, samples: int | None, seed: int, progress: Advance = quiet
) -> dict[str, Any]:
    """Run all checks.

    Args:
        package: of kind precoder.
        samples: channels of all users together; SAMPLES if None.
        seed: of channels and noise.
        progress: called with samples done and in all.

    Returns:
        As `csideploy.validate.validate`.

    Raises:
        FormatError: a file is damaged. PairingError: a bundle of another package.
    """
    setup = Setup(**package.manifest["setup"])
    ends = _Ends(package)
    golden = golden_vectors(package, setup)
    total = SAMPLES if samples is None else samples
    rng = np.random.default_rng([seed, 5])
    power = 10 ** (package.manifest["snr_db"] / 10)
    judge = _Judge(package, ends)
    rates = np.zeros(2)
    for start in range(0, total, CHUNK):
        n = min(CHUNK, total - start)
        h = rayleigh(setup, n, rng)
        y = observe(setup, h, golden["pilots"], rng)
        payload, theirs = judge.receiver(start * setup.users, y)
        v, other = judge.precoder(start, theirs)
        own = v if (payload == theirs).all() else ends.precode(payload)
        rates += [user_rates(h, as_complex(a), power).sum() for a in (own, other)]
        progress(start + n, total)
    checks = judge.checks() + _golden_checks(package, ends, golden)
    ours, reference = (float(value) for value in rates / total)
    return {
        "target": str(package.path),
        "name": package.name,
        "pairing_id": package.pairing_id.hex(),
        "inputs": f"i.i.d. Rayleigh channels, seed {seed}",
        "samples": total,
        "passed": all(entry["holds"] for entry in checks),
        "checks": checks,
        "measured": {
            **judge.codes.figures("ue"),
            **judge.floats.figures("bs"),
            "sum_rate": ours,
            "sum_rate_reference": reference,
        },
    }


class _Ends:
    """Both sides, twice: in our runtime, and in what they are judged by."""

    def __init__(self, package: LinkPackage) -> None:
        self.setup = Setup(**package.manifest["setup"])
        self.ue, self.bs = package.open_part("ue"), package.open_part("bs")
        self.plans: dict[str, Plan] = {
            side: read_bundle(package.read(package.name_of(side, "csib"))) for side in ("ue", "bs")
        }
        self.integer = package.is_integer
        self.band = band_of(self.plans["ue"])
        expose = () if self.band is None else (self.band.tensor,)
        data = package.read("ue.onnx")
        self.receiver = None if self.integer else Oracle(data, name="ue.onnx", expose=expose)
        self.network = None
        if "bs.onnx" in package.manifest["files"]:
            self.network = Oracle(package.read("bs.onnx"), name="bs.onnx", threads=0)

    @property
    def judged_by(self) -> str:
        """What the BS's output is compared with."""
        return "ONNX Runtime's" if self.network is not None else "float64 NumPy's"

    def users(self, payload: NDArray[Any]) -> NDArray[Any]:
        """Payloads of single users as those of all: (n K, bytes) -> (n, K, bytes)."""
        return np.ascontiguousarray(payload).reshape(-1, self.setup.users, payload.shape[-1])

    def precode(self, payload: NDArray[np.uint8]) -> NDArray[np.float32]:
        """V by our runtime."""
        (v,) = self.bs.run(payload)
        return v

    def reference(self, payload: NDArray[np.uint8]) -> NDArray[np.floating]:
        """V by what it is judged by.

        Raises:
            FormatError: a package without bs.onnx whose BS is no native part.
        """
        if self.network is not None:
            made: NDArray[np.floating] = self.network.run(payload)["V"]
            return made
        plan = self.plans["bs"]
        (step,) = plan.steps if len(plan.steps) == 1 else (None,)
        if step is None or step.op is not Op.RZF_PRECODER or step.inputs[1] is None:
            raise FormatError("the package has no bs.onnx to judge its BS by: export it with onnx")
        stored = plan.tensors[step.inputs[1]]
        raw = plan.weights[stored.place : stored.place + stored.nbytes]
        words = (
            np.frombuffer(raw.tobytes(), "<f4").reshape(*map(int, stored.shape)).astype(np.float64)
        )
        known = words.view(np.complex128)[..., 0][unpack_indices(self.setup, payload)]
        return as_real(rzf(known, float(step.params["loading"]), self.setup.streams))


class _Judge:
    """Counts over the chunks."""

    def __init__(self, package: LinkPackage, ends: _Ends) -> None:
        self.ends = ends
        (layout,) = package.layouts
        near = None if ends.band is None else ends.band.near
        self.codes, self.floats = CodeCount(layout, near), FloatError()

    def receiver(
        self, start: int, y: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The payloads of a chunk, ours and theirs, (n, K, bytes)."""
        ends = self.ends
        flat = y.reshape(-1, *y.shape[2:])
        names = [output.name for output in ends.ue.outputs]
        ours: Arrays = dict(zip(names, ends.ue.run(flat), strict=True))
        if ends.receiver is None:
            theirs = run_plan(ends.plans["ue"], [flat])
        else:
            theirs = ends.receiver.run(flat)
        before = theirs.get(ends.band.tensor) if ends.band is not None else None
        self.codes.add(start, ours, theirs, before)
        return ends.users(ours["payload"]), ends.users(theirs["payload"])

    def precoder(
        self, start: int, payload: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
        """V of a chunk, ours and theirs."""
        ours, theirs = self.ends.precode(payload), self.ends.reference(payload)
        self.floats.add(start, ours, theirs)
        return ours, theirs

    def checks(self) -> list[dict[str, Any]]:
        """What must hold."""
        codes = self.codes
        if self.ends.integer:
            name = "UE payload codes equal their NumPy specification"
        else:
            name = "UE payload codes equal ONNX Runtime's outside the band of 1e-5"
        bound = f"BS output within 1e-4 max(1, max|b|) of {self.ends.judged_by}"
        return [
            check(name, codes.holds, codes.detail),
            check(
                "UE payload is its codes packed (NumPy packer)",
                codes.packed_wrong == 0,
                f"{codes.packed_wrong} samples differ",
            ),
            check(bound, self.floats.holds, self.floats.detail),
        ]


def golden_vectors(package: LinkPackage, setup: Setup) -> Arrays:
    """The package's vectors.

    Raises:
        FormatError: an array is missing, or is not of this package.
    """
    path = package.path / "vectors.npz"
    names = ("pilots", "y", "payload", "V")
    try:
        with np.load(io.BytesIO(package.read("vectors.npz"))) as archive:
            stored = {name: archive[name] for name in names}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error
    n, users = len(stored["y"]), setup.users
    sizes: dict[str, tuple[type, tuple[int, ...]]] = {
        "pilots": (np.complex128, (setup.antennas, setup.pilots)),
        "y": (np.float32, (n, users, setup.pilots, setup.streams, 2)),
        "payload": (np.uint8, (n, users, setup.payload_bytes)),
        "V": (np.float32, (n, users, setup.streams, setup.antennas, 2)),
    }
    for name, (dtype, shape) in sizes.items():
        array = stored[name]
        if array.dtype != dtype or array.shape != shape:
            raise FormatError(
                f"{path}: {name} is {array.dtype} {array.shape}; {np.dtype(dtype)} {shape} is right"
            )
    return stored


def _golden_checks(package: LinkPackage, ends: _Ends, stored: Arrays) -> list[dict[str, Any]]:
    """Our runtime against the vectors stored at export."""
    judge = _Judge(package, ends)
    payload, _ = judge.receiver(0, stored["y"])
    wrong = int((payload != stored["payload"]).sum())
    floats = FloatError()
    floats.add(0, ends.precode(stored["payload"]), stored["V"])
    many = f", {len(stored['y'])} samples of {ends.setup.users} users"
    near = judge.codes.codes_in_band
    return [
        check(
            "golden vectors: UE payload",
            wrong <= near,
            f"{wrong} bytes differ, {near} codes lie in the band{many}",
        ),
        check("golden vectors: BS output", floats.holds, floats.detail + many),
    ]
