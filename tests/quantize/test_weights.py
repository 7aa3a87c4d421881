"""Equal ranges, two terms and corrected biases: the same function, and less error."""

import numpy as np
from onnx import ModelProto
from scipy.signal import correlate
from tiny_networks import chunks, inputs, residual

from csideploy.export.quantize.correct import corrections
from csideploy.export.quantize.emit import emit
from csideploy.export.quantize.equalize import equalize
from csideploy.export.quantize.observe import observe
from csideploy.export.quantize.points import find_points
from csideploy.export.quantize.prepare import prepare
from csideploy.export.quantize.weights import mean_shift, rounded, split, weighted_layers
from csideploy.onnx_oracle import Oracle


def run(model: ModelProto, *expose: str) -> dict[str, np.ndarray]:
    oracle = Oracle(model.SerializeToString(), name="test", expose=expose)
    return oracle.run(inputs(60, seed=8))


def spread(values: np.ndarray) -> float:
    """The largest channel's peak over the smallest's."""
    peaks = np.abs(values).max(axis=(0, 2, 3))
    return float(peaks.max() / peaks.min())


def test_equal_ranges_change_nothing_but_the_ranges() -> None:
    network = prepare(residual())
    made = equalize(network, chunks())
    before, after = run(network.model, "c2", "a2"), run(made.model, "c2", "a2")
    # The scaling is undone exactly but for the rounding of float32.
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-4, atol=1e-4)
    assert spread(before["a2"]) > 8
    # Other samples than those that the factors were made from.
    assert spread(after["c2"]) < 2.5
    # n1 is read by a PRelu that the sum reads too, so its channels stay.
    np.testing.assert_array_equal(
        network.constants["node.c1.folded"], made.constants["node.c1.folded"]
    )


def test_two_terms_hold_sixteen_bits() -> None:
    network = prepare(residual())
    made = split(network, {"node.c2", "node.y"})
    names = [node.name for node in weighted_layers(made)]
    assert names == [
        "node.c1", "node.c2", "node.c2.rest", "node.c3", "node.c4", "node.y", "node.y.rest",
    ]  # fmt: skip
    np.testing.assert_allclose(run(made.model)["y"], run(network.model)["y"], rtol=1e-4, atol=1e-4)
    by_name = {node.name: node for node in made.model.graph.node}
    weight = network.constants["w2"]
    whole = rounded(made, by_name["node.c2"]) + rounded(made, by_name["node.c2.rest"])
    one_term = rounded(network, next(n for n in weighted_layers(network) if n.name == "node.c2"))
    # 127 x 2 steps more in each half step: the error shrinks by 254 or more.
    assert np.abs(whole - weight).max() < np.abs(one_term - weight).max() / 200
    # What the first term stores is on the grid already.
    np.testing.assert_array_equal(
        rounded(made, by_name["node.c2"]), made.constants["node.c2.main_weight"]
    )


def test_mean_shift_is_that_of_the_convolution() -> None:
    network = prepare(residual())
    layer = next(node for node in weighted_layers(network) if node.name == "node.c4")
    x = chunks()
    shift = mean_shift(network, [layer], x)["node.c4"]
    change = (rounded(network, layer) - network.constants["w4"]).astype(np.float64)
    oracle = Oracle(network.model.SerializeToString(), name="test", expose=("a3",))
    a3 = np.concatenate([oracle.run(part)["a3"] for part in x]).astype(np.float64)
    padded = np.pad(a3, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for output in range(2):
        made = [correlate(sample, change[output], "valid").mean() for sample in padded]
        np.testing.assert_allclose(shift[output], np.mean(made), rtol=1e-3, atol=1e-7)


def test_corrected_biases_leave_no_mean_error() -> None:
    network = prepare(residual())
    points, x = find_points(network), chunks()
    statistics, _ = observe(network, points, x, seed=0)
    scales = {p.name: statistics[p.name].scale(p, 8) for p in points}
    calls: list[int] = []
    shifts = corrections(network, points, scales, x, advance=lambda: calls.append(1))
    assert len(calls) == 5
    assert shifts["node.y"].shape == (10,)
    names = ("sum", "y")
    oracle = Oracle(network.model.SerializeToString(), name="float", expose=names)
    exact = {n: np.concatenate([oracle.run(part)[n] for part in x]) for n in names}

    def mean_errors(model: ModelProto) -> list[float]:
        made = Oracle(model.SerializeToString(), name="qdq", expose=names)
        found = []
        for name in names:
            values = np.concatenate([made.run(part)[name] for part in x]) - exact[name]
            others = (0, *range(2, values.ndim))
            found.append(float(np.abs(values.mean(others)).max()))
        return found

    plain = mean_errors(emit(network, points, scales))
    corrected = mean_errors(emit(network, points, scales, shifts))
    # What the output's own rounding leaves, and the coarse codes behind the sum.
    assert all(after < 0.4 * before for after, before in zip(corrected, plain, strict=True))
