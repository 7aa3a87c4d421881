"""A trained link as a zoo entry: two ONNX files, codebooks, measured as they are, and a card.

    python -m csideploy.training.publish WEIGHTS --test-data F.npz --command "..." [--zoo zoo]

What is measured are the files: the payload of `ue.onnx` goes into `bs.onnx`, both run by ONNX
Runtime, so the figures on the card include the rounding of the decoder's weights to fp16 or int8.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime
import typer
from numpy.typing import NDArray

from csideploy.errors import CsideployError
from csideploy.quantizers.scalar import Codebook
from csideploy.training.checkpoint import load_checkpoint
from csideploy.training.data import describe
from csideploy.training.evaluate import measure_reconstruction
from csideploy.training.exported import Exported, export_trained
from csideploy.zoo import CARD, read_card, write_entry


def publish(
    weights: Path,
    zoo: Path,
    *,
    test_data: Path,
    command: str,
    start: Path | None = None,
    integers: bool = False,
) -> Path:
    """Write an entry; an older one of the same name is replaced.

    Args:
        weights: of `csideploy train`: a `.safetensors` file or a run's folder.
        zoo: the folder of entries.
        test_data: CSI that had no part in the training.
        command: what retrains these weights.
        start: what the training started from, for the card: weights, or a zoo entry.
        integers: store the decoder's fully connected layer as int8, also where it was trained in
            floats: half the file, and what `--precision mixed` would round it to.

    Returns:
        The entry's folder.

    Raises:
        InputError, FormatError: weights or data cannot be read.
        OutputError: the zoo cannot be written.
    """
    link, metadata = load_checkpoint(weights)
    made = export_trained(link, half_weights=True, integer_weights=integers or link.unit_steps)
    card = {
        "system": link.spec.name,
        "cr": link.cr,
        "bits": link.bits,
        "binarize": link.binarize,
        "paper": link.spec.paper,
        "test_data": describe(test_data),
        "data": metadata["data"],
        "recipe": metadata["recipe"],
        "seed": metadata["seed"],
        "training": metadata["training"],
        "command": command,
    }
    if link.feature.quantizer != "uniform":
        card["quantizer"] = link.feature.quantizer
    if link.feature.quantizer == "vector":
        card["length"] = link.feature.length
    if start is not None:
        is_entry = (start / CARD).is_file()
        first = read_card(start / CARD) if is_entry else load_checkpoint(start)[1]
        card["start"] = {key: first[key] for key in ("recipe", "seed", "training") if key in first}
    if made.codebooks:
        measured = {
            str(budget): _measure(made, test_data, book) for budget, book in made.codebooks.items()
        }
        card |= {"metrics": measured[str(link.bits)], "metrics_per_budget": measured}
    else:
        card["metrics"] = _measure(made, test_data)
    return write_entry(zoo, card, ue=made.ue, bs=made.bs, codebooks=made.codebooks)


def _measure(made: Exported, path: Path, book: Codebook | None = None) -> dict[str, float | int]:
    """Both files in ONNX Runtime; a codebook between them, in NumPy, if there is one."""
    ue = onnxruntime.InferenceSession(made.ue)
    bs = onnxruntime.InferenceSession(made.bs)
    # The last output is what is sent: the payload, or the feature where that travels as floats.
    sent, received = ue.get_outputs()[-1].name, bs.get_inputs()[0].name

    def reconstruct(x: NDArray[np.float32]) -> NDArray[np.float32]:
        (message,) = ue.run([sent], {"x": x})
        if book is not None:
            message = book.dequantize(book.quantize(np.asarray(message, np.float32)))
        (out,) = bs.run(None, {received: message})
        return np.asarray(out, np.float32)

    return measure_reconstruction(reconstruct, path)


def main(
    weights: Path,
    test_data: Annotated[Path, typer.Option(help="CSI that had no part in the training.")],
    command: Annotated[str, typer.Option(help="What retrains these weights.")],
    zoo: Annotated[Path, typer.Option(help="The folder of entries.")] = Path("zoo"),
    start: Annotated[
        Path | None,
        typer.Option(help="Weights or a zoo entry that the training started from, for the card."),
    ] = None,
    integers: Annotated[
        bool, typer.Option("--integers", help="Store the decoder's FC weights as int8.")
    ] = False,
) -> None:
    """Make a zoo entry of trained weights."""
    try:
        entry = publish(
            weights, zoo, test_data=test_data, command=command, start=start, integers=integers
        )
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    card = json.loads((entry / CARD).read_text(encoding="utf-8"))
    typer.echo(f"{entry}: {card['metrics']}", err=True)


if __name__ == "__main__":
    typer.run(main)
