"""Training that goes on from a trained link: a zoo entry or weights, in floats or with integers."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from csideploy import systems
from csideploy.errors import FormatError, InputError
from csideploy.export.quantize.channel_steps import has_learned
from csideploy.export.quantize.mixed import MixedStudy
from csideploy.onnx_oracle import Oracle
from csideploy.training import integers, train
from csideploy.training.checkpoint import load_checkpoint, load_parts
from csideploy.training.data import read
from csideploy.training.entry_weights import load_entry
from csideploy.training.evaluate import validation_nmse_db
from csideploy.training.exported import export_trained
from csideploy.training.progress import Progress
from csideploy.training.publish import publish
from csideploy.zoo import CARD, FILES, folder, read_card

OPTIONS: dict[str, Any] = {"seed": 3, "threads": 1, "device": "cpu", "quiet": True, "batch": 8}


@pytest.fixture(scope="module", params=["bacrnet1x", "bacrnet1x-both", "bacrnet10x"])
def entry(request: pytest.FixtureRequest) -> Path:
    return folder() / str(request.param)


def link_of(entry: Path) -> Any:
    binarize = "both" if entry.name.endswith("both") else "encoder"
    return systems.build(entry.name.split("-")[0], cr=4, bits=4, binarize=binarize)


def samples(csi_file: Path, count: int) -> torch.Tensor:
    return read(csi_file, torch.device("cpu")).first(count)


def test_entry_as_a_link(entry: Path, csi_file: Path) -> None:
    link = link_of(entry)
    load_parts(link, entry, bits=4)
    x = samples(csi_file, 40)
    ue, bs = (Oracle((entry / name).read_bytes(), name=name) for name in FILES)
    payload = ue.run(x.numpy())["payload"]
    with torch.no_grad():
        codes = link.eval().quantizer.codes(link.encoder(x))
        made = link(x)
    # Of 20,480 codes those on a threshold may fall to either side by a rounding.
    sent = ue.run(x.numpy())["codes"]
    assert (codes.numpy() != sent).sum() <= 2
    expected = bs.run(payload)["h"]
    same = (codes.numpy() == sent).all(1)
    # Sums of 98 to 2048 products in another order.
    np.testing.assert_allclose(made.numpy()[same], expected[same], rtol=0, atol=1e-5)


def test_integer_weights_of_an_entry_are_read_as_their_floats(tmp_path: Path) -> None:
    source = folder() / "bacrnet1x"
    link = link_of(source)
    load_parts(link, source, bits=4)
    link.eval()
    made = export_trained(link, half_weights=True, integer_weights=True)
    files = (tmp_path / "ue.onnx", tmp_path / "bs.onnx")
    for path, data in zip(files, (made.ue, made.bs), strict=True):
        path.write_bytes(data)
    again = link_of(source).eval()
    load_entry(again, files)
    weight = link.decoder.fc.weight.detach()
    scale = weight.abs().amax(1, keepdim=True) / 127
    rounded = (weight / scale).round() * scale
    torch.testing.assert_close(again.decoder.fc.weight.detach(), rounded, rtol=1e-5, atol=1e-7)
    assert not torch.equal(rounded, weight)


def test_integers_are_those_of_the_exporter(csi_file: Path) -> None:
    """The layer computes what int8 weights and codes in float64 do."""
    link = link_of(folder() / "bacrnet1x")
    load_parts(link, folder() / "bacrnet1x", bits=4)
    x = samples(csi_file, 60)
    before = link.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    integers.put(link, x, seed=0)
    layer = link.decoder.convolutions[1].body[1][0]
    assert isinstance(layer, integers.IntegerConvolution)
    seen: list[torch.Tensor] = []
    layer.register_forward_hook(lambda _, given, made: seen.extend((given[0], made)))
    with torch.no_grad():
        link.eval()(x[:4])
    v, made = (tensor.double().numpy() for tensor in seen[:2])
    step = layer.log_step.detach().exp().double().numpy()
    codes = np.clip(np.rint(v / step[:, None, None]), -32, 223)
    assert len(np.unique(codes)) > 50
    weight = layer.weight.detach().double().numpy()
    expected = np.zeros_like(made)
    for output in range(8):
        group = output // 2 * 2
        rows = weight[output] * step[group : group + 2, None, None]
        scale = np.abs(rows).max() / 127
        whole = np.rint(rows / scale)
        assert np.abs(whole).max() == 127
        padded = np.pad(codes[:, group : group + 2], ((0, 0), (0, 0), (3, 3), (3, 3)))
        for i, j in np.ndindex(7, 7):
            window = padded[:, :, i : i + 32, j : j + 32]
            expected[:, output] += scale * np.einsum("ncij,c->nij", window, whole[:, i, j])
    # float32 rounds v / step: a code next to a half may move by one, in few places.
    error = np.abs(made - expected) / np.abs(expected).max()
    assert np.median(error) < 1e-6
    assert (error > 1e-4).mean() < 0.01

    # Taken out, the function of the floats is what it was, in units of the steps.
    with torch.no_grad():
        layer.log_step += 0.1 * torch.randn(8, generator=torch.Generator().manual_seed(1))
        stepped = link(x[:8])
        scaled = layer.log_step.exp()
    integers.take_out(link)
    assert link.unit_steps
    assert before.keys() == link.state_dict().keys()
    read = layer_input(link, x[:4])
    with torch.no_grad():
        original = link_of(folder() / "bacrnet1x")
        load_parts(original, folder() / "bacrnet1x", bits=4)
        # Divided and multiplied once each: float32's rounding of what lies within 0..1.
        torch.testing.assert_close(link(x[:8]), original.eval()(x[:8]), rtol=0, atol=2e-6)
    unscaled = layer_input(original, x[:4])
    torch.testing.assert_close(
        read * scaled.view(1, -1, 1, 1), unscaled, rtol=1e-4, atol=1e-4 * float(unscaled.max())
    )

    # The exporter's integers are those of the layer: the same output, in ONNX Runtime.
    trained = export_trained(link)
    assert has_learned(onnx.load_model_from_string(trained.bs))
    payload = Oracle(trained.ue, name="ue").run(x[:8].numpy())["payload"]
    study = MixedStudy(
        onnx.load_model_from_string(trained.bs), [payload], trials=1, seed=0, side="bs"
    )
    study.sweep(
        ("h",), lambda _, out: float(((out["h"] - x[:8].numpy()) ** 2).mean()), advance=idle
    )
    integer = Oracle(study.model(advance=idle).SerializeToString(), name="bs").run(payload)["h"]
    assert study.integers()
    off = np.abs(integer - stepped.numpy())
    # Edges and sums have 16 bits: most outputs differ by less than a hundredth of the 8-bit noise.
    noise = np.abs(stepped.numpy() - link(x[:8]).detach().numpy())
    assert np.median(off) < 0.2 * np.median(noise)


def layer_input(link: Any, x: torch.Tensor) -> torch.Tensor:
    """What the first grouped convolution of a link's decoder reads."""
    seen: list[torch.Tensor] = []
    layer = link.decoder.convolutions[1].body[1][0]
    handle = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    with torch.no_grad():
        link.eval()(x)
    handle.remove()
    return seen[0]


def idle() -> None:
    """No bar."""


def test_gradients_of_a_step() -> None:
    """Inside the range r(q) - q, at its ends their codes; of the value 1 or 0."""
    of = nn.Conv2d(2, 2, (1, 1), groups=1, bias=False)
    layer = integers.IntegerConvolution(of, torch.tensor([0.5, 0.25]))
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2).view(2, 2, 1, 1))
    x = torch.tensor([[1.2, 40.0], [-3.3, -100.0]]).T.reshape(2, 2, 1, 1).requires_grad_()
    layer(x).sum().backward()
    # Rows of x are samples: (1.2, -3.3) lies inside both ranges, (40, -100) in that of channel 0.
    expected = [[1.0, 1.0], [1.0, 0.0]]
    assert x.grad is not None
    assert x.grad.reshape(2, 2).tolist() == expected
    q = np.array([1.2 / 0.5, 40 / 0.5])
    inside = (np.rint(q) - q).sum()
    across = np.rint(-13.2) + 13.2 - 32
    assert layer.log_step.grad is not None
    found = (layer.log_step.grad / layer.log_step.detach().exp()).tolist()
    assert found == pytest.approx([inside, across], rel=1e-5)


def test_int8_recipe_leaves_the_encoder(csi_file: Path, tmp_path: Path) -> None:
    start = folder() / "bacrnet1x"
    options = {**OPTIONS, "recipe": "int8", "start_from": start, "epochs": 0.5}
    done = train("bacrnet1x", data=csi_file, out=tmp_path / "run", **options)
    both = b"".join((start / name).read_bytes() for name in FILES)
    assert done.metadata["start_from"] == hashlib.sha256(both).hexdigest()
    link, _ = load_checkpoint(done.weights)
    first = link_of(start)
    load_parts(first, start, bits=4)
    for name, value in first.encoder.state_dict().items():
        assert torch.equal(value, link.encoder.state_dict()[name]), name
    moved = [
        name
        for name, value in first.decoder.named_parameters()
        if not torch.equal(value, link.decoder.get_parameter(name))
    ]
    assert len(moved) == len(list(first.decoder.parameters()))
    # Killed between checkpoints or not, a run with integers is resumed with their steps.
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert not any("log_step" in name for name in state["link"])

    weights = tmp_path / "run" / "weights.safetensors"
    further = train(
        "bacrnet1x", data=csi_file, out=tmp_path / "further",
        **{**options, "recipe": "further", "start_from": weights, "epochs": 0.1},
    )  # fmt: skip
    assert load_file(further.weights).keys() == load_file(weights).keys()


def test_stopped_with_integers_it_goes_on_exactly(
    csi_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**OPTIONS, "recipe": "int8", "start_from": folder() / "bacrnet1x", "epochs": 0.2}
    whole = train("bacrnet1x", data=csi_file, out=tmp_path / "whole", **options)
    steps = Progress.step

    def stops(self: Progress, done: int, loss: torch.Tensor, rate: float) -> None:
        steps(self, done, loss, rate)
        if done == 5:
            raise KeyboardInterrupt

    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", stops)
        with pytest.raises(KeyboardInterrupt):
            train("bacrnet1x", data=csi_file, out=out, checkpoint_seconds=0.0, **options)
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    # What was kept is the step before, with the steps of the codes as they had become.
    assert (state["position"]["stage"], state["position"]["step"]) == (0, 4)
    assert sum("log_step" in name for name in state["link"]) == 2
    resumed = train("bacrnet1x", data=csi_file, out=out, resume=True, **options)
    expected, found = load_file(whole.weights), load_file(resumed.weights)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_going_on_from_int8_weights(csi_file: Path, tmp_path: Path) -> None:
    """Weights in units of steps get usual sizes back, so that Adam's steps do not destroy them."""
    start_from = folder() / "bacrnet1x"
    options = {**OPTIONS, "start_from": start_from, "epochs": 0.5}
    int8 = train("bacrnet1x", data=csi_file, out=tmp_path / "int8", **options, recipe="int8")
    trained, _ = load_checkpoint(int8.weights)
    assert trained.unit_steps
    entry = publish(
        int8.weights, tmp_path / "zoo", test_data=csi_file, command="again", start=start_from
    )
    card, first = read_card(entry / CARD), read_card(start_from / CARD)
    assert card["start"] == {key: first[key] for key in ("recipe", "seed", "training")}
    x = samples(csi_file, 20)
    before, validated = link_of(folder() / "bacrnet1x"), read(csi_file, torch.device("cpu"))
    load_parts(before, folder() / "bacrnet1x", bits=4)
    start = validation_nmse_db(trained, validated.validation())
    for source in (int8.weights, entry):
        link = link_of(folder() / "bacrnet1x")
        load_parts(link, source, bits=4)
        with torch.no_grad():
            # An entry's decoder has weights of float16: 11 bits of what differs from 0.5 by 0.1.
            atol = 2e-6 if source == int8.weights else 2e-3
            torch.testing.assert_close(link.eval()(x), trained(x), rtol=0, atol=atol)
        for name, value in link.decoder.named_parameters():
            if name.endswith("body.1.0.weight"):
                # A channel's factor is that of the float link, or 2 off at most.
                usual = before.decoder.get_parameter(name).detach().abs().mean()
                assert 0.4 < float(value.detach().abs().mean() / usual) < 2.5
        options = {**OPTIONS, "start_from": source, "epochs": 0.5}
        out = tmp_path / f"further-{source.name}"
        done = train("bacrnet1x", data=csi_file, out=out, **options, recipe="further")
        # 24 steps of 8 samples cost this float link 1 dB, and one in units of steps 10.
        assert done.metadata["training"]["validation_nmse_db"]["further"] < start + 2


@pytest.mark.parametrize(
    ("system", "changes", "says"),
    [
        ("bacrnet1x", {"start_from": None}, "--recipe int8 needs --start-from"),
        ("bacrnet2x", {}, "its system is bacrnet1x, not bacrnet2x"),
        ("bacrnet1x", {"cr": 8}, "its cr is 4, not 8"),
        ("bacrnet1x", {"bits": 2}, "2 bits a feature"),
        ("bacrnet1x", {"binarize": "both"}, "its binarize is encoder, not both"),
        ("bacrnet1x", {"recipe": "zoo-cpu"}, "--start-from goes with"),
        ("crnet", {}, "not crnet"),
        (
            "acrnet1x",
            {"start_from": folder() / "acrnet1x-cr8-codebook", "cr": 8},
            "its quantizer is codebook, not uniform",
        ),
        ("bacrnet1x", {"method": "lloyd"}, "--method goes with"),
    ],
)
def test_bad_starts(
    csi_file: Path, tmp_path: Path, system: str, changes: dict[str, Any], says: str
) -> None:
    options = {**OPTIONS, "recipe": "int8", "start_from": folder() / "bacrnet1x", **changes}
    with pytest.raises(InputError, match=says):
        train(system, data=csi_file, out=tmp_path / "run", **options)


def test_broken_entry(csi_file: Path, tmp_path: Path) -> None:
    start = folder() / "bacrnet1x"
    for name in (*FILES, "card.json"):
        (tmp_path / name).write_bytes((start / name).read_bytes())
    (tmp_path / "ue.onnx").write_bytes(b"no network")
    link = link_of(start)
    with pytest.raises(FormatError, match=r"ue\.onnx: not an ONNX file"):
        load_parts(link, tmp_path, bits=4)
    (tmp_path / "ue.onnx").write_bytes((start / "bs.onnx").read_bytes())
    with pytest.raises(InputError, match="not the encoder of bacrnet1x"):
        load_parts(link, tmp_path, bits=4)
