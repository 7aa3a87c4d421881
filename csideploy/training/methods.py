"""The methods of paper 001 and its baselines, as stages on one autoencoder.

All but `float` train a float link first, from principal components where the family has such a
start, and then turn to the quantizer; given the weights of a float link, they begin with those. So
that methods can be compared, the stages differ in nothing but what the table says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from csideploy.errors import InputError
from csideploy.registry import Quantizer, SystemSpec
from csideploy.training.components import FAMILIES
from csideploy.training.recipes import Stage

BETA_LOG, BETA_MSE = 0.01, 0.001
"""Weights of the quantization loss beside the logarithm and beside the relative error.

The paper tunes beta between 0.01 and 0.25 on an unstated scale; these are for losses in units of
the outputs' mean spread. The logarithm's gradient is 1 / NMSE times that of the relative error, so
that its weight is larger."""

EPOCHS = 2000
"""The paper's budget, half of it for the float link; `--epochs` scales both."""


SCRATCH = Stage("float", EPOCHS / 2, 200, (1e-3, 1e-5), decay="exponential")
"""The paper's schedule: Adam from 1e-3 with exponential decay (to what, it does not say)."""

STRAIGHT = Stage(
    "float",
    EPOCHS / 2,
    50,
    (3e-3, 1e-5),
    encoder_fc=0.01,
    decoder_fc=0.03,
    warmup=0.05,
    start="components",
    frozen_norm=True,
)
"""From principal components: small batches and small steps of the FC layers, as in `zoo-cpu`."""


@dataclass(frozen=True)
class Method:
    """One row of the comparison.

    Attributes:
        quantizer: what the features pass.
        loss: "mse" or "log".
        through: whether encoder and decoder are trained through the quantizer.
        beta: weight of the quantization loss.
        adaptive, allocated: as in `Stage`.
        says: what it is, for people.
    """

    quantizer: Quantizer
    loss: Literal["mse", "log"]
    says: str
    through: bool = True
    beta: float = 0.0
    adaptive: bool = False
    allocated: bool = False


METHODS: dict[str, Method] = {
    "proposed": Method(
        "codebook", "log", "paper 001: bits allocated, adaptive beta, log loss",
        beta=BETA_LOG, adaptive=True, allocated=True,
    ),
    "equal-bits": Method(
        "codebook", "log", "proposed without allocation", beta=BETA_LOG, adaptive=True
    ),
    "fixed-beta": Method(
        "codebook", "log", "proposed with one beta", beta=BETA_LOG, allocated=True
    ),
    "var1": Method(
        "codebook", "log", "Proposed-var1: equal bits, one beta", beta=BETA_LOG
    ),
    "var2": Method(
        "codebook", "mse", "Proposed-var2: without log loss",
        beta=BETA_MSE, adaptive=True, allocated=True,
    ),
    "lloyd": Method("codebook", "mse", "Lloyd: codebooks after training", through=False),
    "lloyd-log": Method(
        "codebook", "log", "Lloyd-log: codebooks after training with log loss", through=False
    ),
    "lloyd-allocated": Method(
        "codebook", "log", "Lloyd-log with bits allocated", through=False, allocated=True
    ),
    "round": Method("round", "mse", "Round: equal cells, smooth gradient"),
    "vector": Method("vector", "mse", "Vector: groups with one codebook", beta=BETA_MSE),
    "float": Method("uniform", "log", "NQ: not quantized, log loss", through=False),
}  # fmt: skip


def stages_of(
    name: str, spec: SystemSpec, *, binarize: str, from_weights: bool
) -> tuple[Quantizer, tuple[Stage, ...]]:
    """Quantizer and stages of a method.

    Raises:
        InputError: unknown method, or one that does not go with 1-bit layers.
    """
    if name not in METHODS:
        raise InputError(f"unknown method {name!r}: there are {', '.join(METHODS)}")
    method = METHODS[name]
    if method.quantizer == "round" and binarize != "none":
        raise InputError(
            f"method {name}: it brings each output into the range of its cells by the weights of "
            f"its row, which 1-bit layers cannot; {spec.name} has binarize {binarize}"
        )
    straight = spec.family in FAMILIES and binarize == "none"
    if spec.family == "pca":
        # Nothing to train: one step at a rate too small to change a float32.
        still = Stage("components", 1e-9, 1, (1e-30, 1e-30), start="components", frozen_norm=True)
        return method.quantizer, (replace(still, allocated=method.allocated),)
    first = replace(
        STRAIGHT if straight else SCRATCH,
        loss="log",
        feature="float",
        allocated=method.allocated,
    )
    if spec.family in ("csinet", "csinetpro"):
        # Their weights see the pedestal of `straight`, and feel every step more.
        first = replace(first, rates=(3e-4, 1e-6)) if straight else first
    second = replace(
        first,
        name=name,
        start="weights" if from_weights else "scratch",
        # A straight gradient is a rough one: at the float link's rate the encoder runs away.
        encoder=0.1 if method.through else 1.0,
        frozen_norm=True,
        loss=method.loss,
        feature="quantized" if method.through else "float",
        beta=method.beta,
        adaptive=method.adaptive,
        refits=2.0,
    )
    if from_weights:
        return method.quantizer, (second,)
    if name == "float":
        return method.quantizer, (replace(first, epochs=EPOCHS),)
    return method.quantizer, (first, second)
