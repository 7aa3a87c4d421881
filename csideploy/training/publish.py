"""A trained link as a zoo entry: two ONNX files, measured as they are, and a card.

    python -m csideploy.training.publish WEIGHTS --test-data F.npz --command "..." [--zoo zoo]

What is measured are the files: the payload of `ue.onnx` goes into `bs.onnx`, both run by ONNX
Runtime, so the figures on the card include the rounding of the decoder's weights to fp16.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime
import typer
from numpy.typing import NDArray

from csideploy import registry
from csideploy.errors import CsideployError
from csideploy.export.torch_onnx import export_part
from csideploy.training.checkpoint import load_checkpoint
from csideploy.training.data import describe
from csideploy.training.evaluate import measure_reconstruction
from csideploy.zoo import CARD, write_entry


def publish(weights: Path, zoo: Path, *, test_data: Path, command: str) -> Path:
    """Write an entry; an older one of the same name is replaced.

    Args:
        weights: of `csideploy train`: a `.safetensors` file or a run's folder.
        zoo: the folder of entries.
        test_data: CSI that had no part in the training.
        command: what retrains these weights.

    Returns:
        The entry's folder.

    Raises:
        InputError, FormatError: weights or data cannot be read.
        OutputError: the zoo cannot be written.
    """
    link, metadata = load_checkpoint(weights)
    bits = link.bits
    m = registry.features(link.cr)
    models = {
        "ue.onnx": export_part(link.encoder, "ue", bits=bits),
        "bs.onnx": export_part(link.decoder, "bs", bits=bits, features=m, half_weights=True),
    }
    files = {name: model.SerializeToString() for name, model in models.items()}
    measured = _measure(files, test_data)
    card = {
        "system": link.spec.name,
        "cr": link.cr,
        "bits": bits,
        "binarize": link.binarize,
        "paper": link.spec.paper,
        "metrics": measured,
        "test_data": describe(test_data),
        "data": metadata["data"],
        "recipe": metadata["recipe"],
        "seed": metadata["seed"],
        "training": metadata["training"],
        "command": command,
    }
    return write_entry(zoo, card, ue=files["ue.onnx"], bs=files["bs.onnx"])


def _measure(files: dict[str, bytes], path: Path) -> dict[str, float | int]:
    ue = onnxruntime.InferenceSession(files["ue.onnx"])
    bs = onnxruntime.InferenceSession(files["bs.onnx"])
    # The last output is what is sent: the payload, or the feature where that travels as floats.
    sent, received = ue.get_outputs()[-1].name, bs.get_inputs()[0].name

    def reconstruct(x: NDArray[np.float32]) -> NDArray[np.float32]:
        (message,) = ue.run([sent], {"x": x})
        (out,) = bs.run(None, {received: message})
        return np.asarray(out, np.float32)

    return measure_reconstruction(reconstruct, path)


def main(
    weights: Path,
    test_data: Annotated[Path, typer.Option(help="CSI that had no part in the training.")],
    command: Annotated[str, typer.Option(help="What retrains these weights.")],
    zoo: Annotated[Path, typer.Option(help="The folder of entries.")] = Path("zoo"),
) -> None:
    """Make a zoo entry of trained weights."""
    try:
        entry = publish(weights, zoo, test_data=test_data, command=command)
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    card = json.loads((entry / CARD).read_text(encoding="utf-8"))
    typer.echo(f"{entry}: {card['metrics']}", err=True)


if __name__ == "__main__":
    typer.run(main)
