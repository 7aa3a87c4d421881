"""Training by recipe. Needs the extra `train`: torch, safetensors, tensorboard, brevitas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csideploy.errors import MissingDependencyError

if TYPE_CHECKING:
    from csideploy.baselines.feedback import Distance
    from csideploy.downlink import Setup
    from csideploy.systems.kd_precoder import KdPrecoder
    from csideploy.systems.link import Link
    from csideploy.training.precoder_export import ExportedPrecoder
    from csideploy.training.session import Result
    from csideploy.training.transceiver_session import TransceiverResult


def train(
    system: str,
    *,
    data: Path | Sequence[Path] | None,
    out: Path,
    cr: int = 4,
    bits: int | None = 4,
    binarize: str | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    recipe: str = "paper-002",
    batch: int | None = None,
    method: str | None = None,
    rate: float | None = None,
    start_from: Path | None = None,
    length: int = 1,
    budgets: tuple[int, ...] = (),
    device: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    resume: bool = False,
    test_data: Path | None = None,
    reference: Path | None = None,
    results: Path | None = None,
    checkpoint_seconds: float = 60.0,
    validations: int = 20,
    quiet: bool = False,
) -> Result:
    """Train a system's link into a folder.

    The folder gets `weights.safetensors` (the result, with recipe, data hash, seed and metrics in
    its metadata), `checkpoint.pt`, one `stage-NAME.safetensors` a stage, and `log/` for
    TensorBoard. Under torchrun, every process calls this; batches are shared out.

    Args:
        system: a name of `registry.SYSTEMS`.
        data: CSI to train on; its last rows (a twentieth, at most 5000) only validate. Several
            files are trained on jointly, each with last rows of its own; validation is over all.
        out: the run's folder, new or empty unless `resume`.
        cr: compression, 4 for 1/4.
        bits: of a feature; None sends floats.
        binarize: "none", "encoder" or "both"; None: the system's default.
        epochs: of all stages together; None: the recipe's own.
        minutes: instead: as many epochs as they hold, from the start to the end of the last stage,
            at the speed that is measured first; they are kept, so that a resumed run has the same.
        recipe: a name of `training.recipes.RECIPES`.
        batch: samples a step over all devices; None: the recipe's own.
        method: of recipe paper-001 (`training.methods`); None: "proposed".
        rate: highest learning rate of the last stage; None: the recipe's own.
        start_from: of recipe paper-001: weights of a trained float link to start from.
        length: outputs a group, where the method quantizes vectors.
        budgets: bits an output on average, where the method has codebooks: all are trained, in
            turns, on one encoder and one decoder. Empty: `bits` alone.
        device: "cpu", "cuda", or None for CUDA where there is one.
        threads: of torch on the CPU; None: torch's own choice.
        seed: of weights and order.
        resume: go on from the folder's checkpoint; bit for bit the run that was never stopped, on
            the same CPU with the same number of threads.
        test_data: CSI to measure the finished link on.
        reference: CSI to measure it on besides; its figures are kept apart.
        results: a result file (docs/plan.md) that gets a line of the test data's figures.
        checkpoint_seconds: time between checkpoints.
        validations: measurements on the validation rows a stage.
        quiet: print nothing.

    Raises:
        InputError: unknown system, recipe or option, missing or unfit data, a checkpoint of
            another run. OutputError: the folder has content, or cannot be written.
        FormatError: the checkpoint is broken. MissingDependencyError: the extra is missing.
    """
    arguments = dict(locals())
    session = _import("session")
    result: Result = session.train(arguments.pop("system"), **arguments)
    return result


def train_precoder(
    *,
    out: Path,
    snr: str = "10",
    users: int | None = None,
    bits: int | None = None,
    settings: Sequence[str] = (),
    iterations: int | None = None,
    method: str | None = None,
    batch: int | None = None,
    rate: float | None = None,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
    validations: int = 50,
    validation_samples: int = 10_000,
    quiet: bool = False,
) -> Result:
    """Train the receivers and the transmitter of `kd-precoder` into a folder (paper 004).

    Channels and noise are drawn while it trains, so it needs no data. The folder gets
    `weights.safetensors` (the best on the validation set, with set-up, options, recipe, seed and
    that rate in its metadata), `checkpoint.pt`, and `log/` for TensorBoard.

    Args:
        out: the run's folder, new or empty unless `resume`.
        snr: P in dB: "10", or with P as an input of the transmitter "0,10,20,30" or "0:30".
        users: K; None: 4.
        bits: B of a user; None: 6.
        settings: "NAME=VALUE", see `training.precoder_settings`.
        iterations: None: the paper's 50,000.
        method: "distilled" (None) or "plain".
        batch: samples an iteration; None: 1000.
        rate: Adam's first; None: 2e-4.
        seed: of weights, channels and noise.
        device: "cpu", "cuda", or None for CUDA where there is one.
        threads: of torch on the CPU; None: torch's own choice.
        resume: go on from the folder's checkpoint; bit for bit the run that was never stopped, on
            the same CPU with the same number of threads.
        checkpoint_seconds: time between checkpoints.
        validations: measurements in all.
        validation_samples: channels of each, the same always.
        quiet: print nothing.

    Raises:
        InputError: an option or value that is none, or does not fit, a checkpoint of another run.
        OutputError: the folder has content, or cannot be written. FormatError: the checkpoint is
            broken. MissingDependencyError: the extra is missing.
    """
    session = _import("precoder_session")
    powers = _import("draws").Powers.parse(snr)
    setup, options, recipe = _import("precoder_settings").assemble(
        settings,
        sizes={"users": users, "bits": bits},
        recipe={
            "powers": powers,
            "iterations": iterations,
            "method": method,
            "batch": batch,
            "rate": rate,
        },
    )
    result: Result = session.train_precoder(
        setup,
        options,
        recipe,
        out=out,
        seed=seed,
        device=device,
        threads=threads,
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
        validations=validations,
        validation_samples=validation_samples,
        quiet=quiet,
    )
    return result


def train_transceiver(
    *,
    data: Path,
    out: Path,
    snr: str | None = None,
    users: str | None = None,
    settings: Sequence[str] = (),
    steps: int | None = None,
    method: str | None = None,
    batch: int | None = None,
    rate: float | None = None,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
    validations: int = 20,
    quiet: bool = False,
    command: str | None = None,
    start_from: Path | None = None,
) -> TransceiverResult:
    """Train pilots, extractor, quantizer and precoder of `rvq-egat` into a folder (paper 000).

    The folder gets `weights.safetensors` (the best on the validation users, `transceiver.weights`),
    `checkpoint.pt`, and `log/` for TensorBoard.

    Args:
        data: users' channels (`transceiver.users`); M is theirs. Four fifths of the distinct users
            train, a tenth validates, a tenth is left for tests (`transceiver.splits`).
        out: the run's folder, new or empty unless `resume`.
        snr: P / sigma^2 in dB: "10", a list, or a range "-5:20" to draw from; None: "10".
        users: K: "3:8", "3,4,8" or one; None: 3 to 8, drawn anew for every step.
        settings: "NAME=VALUE", see `training.transceiver_settings`.
        steps: None: the recipe's.
        method: "end-to-end" (None) or "progressive" (Algorithm 1).
        batch: users a step; None: 600.
        rate: Adam's highest; None: 1e-3.
        seed: of weights, groups and noise.
        device: "cpu", "cuda", or None for CUDA where there is one.
        threads: of torch on the CPU; None: torch's own choice.
        resume: go on from the folder's checkpoint; bit for bit the run that was never stopped, on
            the same CPU with the same number of threads.
        checkpoint_seconds: time between checkpoints.
        validations: measurements in all.
        quiet: print nothing.
        command: what trains these weights again, for their metadata.
        start_from: weights of the same sizes and widths to go on from, with a schedule of its own
            and quantized from the first step.

    Raises:
        InputError: an option or value that is none, or does not fit, data that cannot be read, a
            checkpoint of another run. OutputError: the folder has content, or cannot be written.
        FormatError: the checkpoint is broken. MissingDependencyError: the extra is missing.
    """
    from csideploy.transceiver.users import load_users

    session = _import("transceiver_session")
    options = _import("transceiver_settings")
    setup, widths, recipe = options.assemble(
        settings,
        antennas=load_users(data).antennas,
        recipe={
            "powers": options.parse_powers(snr),
            "users": options.parse_users(users),
            "steps": steps,
            "method": method,
            "batch": batch,
            "rate": rate,
        },
    )
    result: TransceiverResult = session.train_transceiver(
        setup,
        widths,
        recipe,
        data=data,
        out=out,
        seed=seed,
        device=device,
        threads=threads,
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
        validations=validations,
        quiet=quiet,
        command=command,
        start_from=start_from,
    )
    return result


def train_codewords(
    setup: Setup,
    *,
    out: Path,
    snr_db: float,
    distance: Distance | None = None,
    iterations: int = 1500,
    batch: int = 2000,
    rate: float = 0.003,
    seed: int = 0,
    threads: int | None = None,
    validations: int = 20,
    validation_samples: int = 10_000,
    quiet: bool = False,
) -> Result:
    """Train the codewords and the regularization of `rank1-rzf` for the sum rate at one P.

    It starts from Lloyd's codebook of the seed and takes minutes on one core, so there are no
    checkpoints: the folder gets `weights.safetensors` (`downlink.trained_codewords`) at the end,
    the best on the validation set, which may be the start itself.

    Args:
        setup: sizes, B at most 8.
        out: the run's folder, new or empty.
        snr_db: P in dB.
        distance: by which users choose; None: the better one at this P before training.
        iterations: of Adam; its rate falls linearly in the second half.
        batch: samples an iteration.
        rate: Adam's first.
        seed: of the codebook, and with the iteration of channels and noise. The same seed and
            number of threads give the same weights on the same CPU.
        threads: of torch; None: torch's own choice.
        validations: measurements in all.
        validation_samples: channels of each, the same always.
        quiet: print nothing.

    Raises:
        InputError: a value that is none. OutputError: the folder has content, or cannot be written.
        MissingDependencyError: the extra is missing.
    """
    arguments = dict(locals())
    made: Result = _import("codewords").train_codewords(arguments.pop("setup"), **arguments)
    return made


def load_precoder(path: Path) -> tuple[KdPrecoder, dict[str, Any]]:
    """The trained precoder in a weights file or a finished run's folder, and its metadata.

    Raises:
        InputError: no such file. FormatError: not a precoder's weights that training wrote.
        MissingDependencyError: the extra `train` is not installed.
    """
    loaded: tuple[KdPrecoder, dict[str, Any]] = _import("precoder_weights").load_precoder(path)
    return loaded


def export_precoder(path: Path, *, half_weights: bool = False) -> ExportedPrecoder:
    """A trained precoder as two ONNX files; see `training.precoder_export.export_precoder`."""
    module = _import("precoder_export")
    made: ExportedPrecoder = module.export_precoder(path, half_weights=half_weights)
    return made


def load_checkpoint(path: Path) -> tuple[Link, dict[str, Any]]:
    """The trained link in a weights file or in a finished run's folder, and its metadata.

    The link is in evaluation mode; metadata holds system, cr, bits, binarize, recipe, seed, data,
    training and, if it was measured, metrics.

    Raises:
        InputError: no such file. FormatError: not weights that training wrote.
        MissingDependencyError: the extra `train` is not installed.
    """
    loaded: tuple[Link, dict[str, Any]] = _import("checkpoint").load_checkpoint(path)
    return loaded


def _import(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"csideploy.training.{name}")
    except ModuleNotFoundError as missing:
        if missing.name is not None and missing.name.startswith("csideploy"):
            raise
        raise MissingDependencyError(
            f"training needs {missing.name}: pip install 'csideploy[train]'"
        ) from missing
