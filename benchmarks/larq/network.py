"""The arrays of `weights.py` as a Keras model that the Larq Compute Engine converts.

Float convolutions as they are. The FC: its input x becomes codes q, as our integers have it; the
codes, made unsigned, become 8 or 16 planes of signs, which stand beside each other as the pixels of
one image of K channels. So one 1x1 binary convolution, whose weights are stored once, makes all
products W s_i; the rest is the sum of `csideploy/export/larq.py`, which has the derivation.

LCE takes the sign of what it is given, with sign(0) = +1. Bit i of u is set where the fraction of
u / 2^(i+1) is at least 1/2, so that plane is frac(u / 2^(i+1)) - 1/2: exact in float32.
"""

from __future__ import annotations

import json
from typing import Any

import larq
import larq_compute_engine
import numpy as np
import tensorflow as tf

tf.get_logger().setLevel("ERROR")  # of each conversion it says that nothing was trained

Arrays = dict[str, np.ndarray]


class Quantize(tf.keras.layers.Layer):
    """Numbers to codes, made unsigned: rint(x / scale) + zero + offset in the range of the type."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        zero, offset = (int(v) for v in arrays["fc.bounds"][:2])
        kind = np.iinfo(str(arrays["fc.x_type"]))
        self.scale = np.float32(arrays["fc.x_scale"])
        self.origin = np.float32(zero + offset)
        self.most = np.float32(int(kind.max) - int(kind.min))

    def call(self, x: Any) -> Any:
        """Any x -> u, whole numbers."""
        codes = tf.round(x / self.scale) + self.origin
        return tf.minimum(tf.maximum(codes, 0.0), self.most)


class Planes(tf.keras.layers.Layer):
    """Codes u (n, 1, 1, K) to (n, 1, P, K), whose signs are the bits of u, lowest first."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.steps = (0.5 ** np.arange(1, count + 1)).astype(np.float32).reshape(1, 1, count, 1)

    def call(self, u: Any) -> Any:
        """U -> planes of +-fractions."""
        v = u * self.steps
        return v - tf.floor(v) - 0.5


class Accumulate(tf.keras.layers.Layer):
    """Products (n, 1, P, M) to acc (n, M): sum_g 256^g (S_g + c_g)."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        constants = arrays["fc.constants"].astype(np.float32)
        assert np.array_equal(constants, arrays["fc.constants"]), "float32 must have them exactly"
        self.groups, self.outputs = constants.shape
        self.constants = constants[None]
        halves = np.tile(2.0 ** np.arange(-1, 7), self.groups)
        self.halves = halves.astype(np.float32).reshape(1, -1, 1)

    def call(self, products: Any) -> Any:
        """W s_i -> acc."""
        # LCE 0.16 folds a factor a plane into the convolution, as if it were one a channel, and
        # then refuses the model: another rank keeps them apart.
        planes = tf.reshape(products, (-1, 8 * self.groups, self.outputs)) * self.halves
        bytes_ = tf.reshape(planes, (-1, self.groups, 8, self.outputs))
        sums = tf.reduce_sum(bytes_, axis=2) + self.constants
        acc = sums[:, 0]
        for group in range(1, self.groups):
            acc += sums[:, group] * np.float32(256**group)
        return acc


class Requantize(tf.keras.layers.Layer):
    """Sums acc (n, M) to the FC's codes y: rint(acc m), bounded, plus the zero of y."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        self.multiplier = arrays["fc.multiplier"].astype(np.float32)[None]
        self.low, self.high = (np.float32(v) for v in arrays["fc.bounds"][2:])
        self.zero = np.float32(arrays["fc.y_zero"])

    def call(self, acc: Any) -> Any:
        """Acc -> y."""
        y = tf.minimum(tf.maximum(tf.round(acc * self.multiplier), self.low), self.high)
        return y + self.zero


class Thresholds(tf.keras.layers.Layer):
    """Codes y (n, M) to payload codes: the number of thresholds that are <= y, as float32.

    For whole numbers y >= t is min(max(y - (t - 1), 0), 1).
    """

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        self.below = (arrays["fc.thresholds"] - 1.0).astype(np.float32).reshape(1, -1, 1)

    def call(self, y: Any) -> Any:
        """Y -> codes."""
        return tf.reduce_sum(tf.minimum(tf.maximum(y[:, None] - self.below, 0.0), 1.0), axis=1)


def encoder(arrays: Arrays) -> bytes:
    """The whole encoder, converted: x (1, A, D, 2) -> payload codes (1, M) float32."""
    x = tf.keras.Input((*arrays["x"].shape[2:], arrays["x"].shape[1]))
    layers, fill = _convolutions(arrays, x)
    u = Quantize(arrays)(tf.keras.layers.Reshape((1, 1, -1))(layers[-1]))
    return _convert(x, _linear(arrays, u, layers[-1].shape[1:], fill)[-1], fill)


def linear(arrays: Arrays) -> bytes:
    """The FC alone, converted: codes u (1, 1, 1, K) as float32 -> (1, 3, M): acc, y, payload codes.

    K stands in the order (row, column, channel). One output, since the converter orders several as
    it likes.
    """
    fill: list[Any] = []
    u = tf.keras.Input((1, 1, arrays["fc.signs"].shape[1]))
    stages = tf.stack(_linear(arrays, u, _image(arrays), fill), axis=1)
    return _convert(u, stages, fill)


def _image(arrays: Arrays) -> tuple[int, int, int]:
    """Rows, columns and channels in front of the FC."""
    last = len(json.loads(str(arrays["layers"]))) - 1
    return (*arrays["x"].shape[2:], len(arrays[f"{last}.weight"]))


def _convolutions(arrays: Arrays, x: Any) -> tuple[list[Any], list[Any]]:
    """Results of all layers, and (layer, weights) to fill once the model stands."""
    fill: list[Any] = []
    made = [x]  # -1 of the file is 0 here
    for at, entry in enumerate(json.loads(str(arrays["layers"]))):
        weight, bias, slope = (arrays[f"{at}.{what}"] for what in ("weight", "bias", "slope"))
        layer = tf.keras.layers.Conv2D(len(weight), weight.shape[2:], padding="same")
        y = layer(made[entry["input"] + 1])
        fill.append((layer, [weight.transpose(2, 3, 1, 0), bias]))
        if entry["residual"] is not None:
            y = y + made[entry["residual"] + 1]
        if (slope != 1).any():
            activation = tf.keras.layers.PReLU(shared_axes=[1, 2])
            y = activation(y)
            fill.append((activation, [slope.reshape(1, 1, -1)]))
        made.append(y)
    return made, fill


def _linear(arrays: Arrays, u: Any, image: Any, fill: list[Any]) -> list[Any]:
    """From unsigned codes: acc, y, payload codes."""
    outputs, inputs = arrays["fc.signs"].shape
    rows, columns, channels = image
    # Keras has the channel last, our FC first.
    signs = arrays["fc.signs"].reshape(outputs, channels, rows, columns).transpose(2, 3, 1, 0)
    product = larq.layers.QuantConv2D(
        outputs, 1, input_quantizer="ste_sign", kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip", use_bias=False,
    )  # fmt: skip
    planes = Planes(8 * len(arrays["fc.constants"]))(u)
    acc = Accumulate(arrays)(product(planes))
    fill.append((product, [signs.reshape(1, 1, inputs, outputs).astype(np.float32)]))
    y = Requantize(arrays)(acc)
    return [acc, y, Thresholds(arrays)(y)]


def _convert(x: Any, y: Any, fill: list[Any]) -> bytes:
    model = tf.keras.Model(x, y)
    for layer, weights in fill:
        layer.set_weights(weights)
    return larq_compute_engine.convert_keras_model(model)
