"""The bytes that `benchmarks/training_speed.py` counts."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.training_speed import Moved, built, counted, random_data
from csideploy.training.devices import Place
from csideploy.training.stepper import Stepper


def test_operations_are_counted_and_views_are_not() -> None:
    x = torch.ones(4, 8)
    with Moved(4) as moved:
        y = torch.relu(x.view(4, 2, 4).flatten(1))
        y.t().detach()
        # Another number of rows: a weight.
        torch.relu(torch.ones(3, 8))
    assert moved.bytes == 2 * 4 * 4 * 8
    with Moved(4) as moved:
        nn.functional.linear(x, torch.ones(16, 8))
    assert moved.bytes == 4 * 4 * (8 + 16)


def test_a_step_moves_more_than_it_keeps() -> None:
    place = Place(torch.device("cpu"))
    data = random_data(60, place)
    stage, link = built(1, place)
    stepper = Stepper(stage, link, link, data, place, resident=False)
    moved, kept = counted(stepper, torch.arange(12))
    # Of a block's four wide tensors and the sigmoid's, float32, all are kept; each is written and
    # read, forward and backward.
    assert kept > 12 * 4 * 1024 * (2 * 4 * 8 + 2)
    assert moved > 2 * kept
