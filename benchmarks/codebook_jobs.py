"""The training runs of `codebook_methods`: which methods, at which M and B and rate."""

from __future__ import annotations

from dataclasses import dataclass

from csideploy import registry
from csideploy.errors import InputError
from csideploy.link_source import parse_bits

LEARNED = ("proposed", "equal-bits", "fixed-beta", "var2", "round")
"""Trained through the quantizer, anew for each B."""

AFTER = ("lloyd", "lloyd-log")
"""Codebooks after training: one run serves every B."""


@dataclass(frozen=True)
class Job:
    """One training run."""

    method: str
    m: int
    bits: tuple[int, ...]
    rate: float
    length: int = 1

    @property
    def label(self) -> str:
        """Of its row: the method, with the length of a vector."""
        return f"vector, L = {self.length}" if self.method == "vector" else self.method

    @property
    def name(self) -> str:
        """Of its folder."""
        length = f"-L{self.length}" if self.method == "vector" else ""
        budget = "".join(map(str, self.bits))
        return f"{self.method}{length}-M{self.m}-B{budget}-rate{self.rate:g}"


def parse_grid(text: str) -> dict[int, tuple[int, ...]]:
    """M -> values of B."""
    grid = {}
    for item in text.split():
        m, _, bits = item.partition(":")
        if not m.isdecimal() or registry.ELEMENTS // max(1, int(m)) not in registry.COMPRESSIONS:
            raise InputError(f"--grid {item}: M is one of 512, 256, 128, 64, 32")
        grid[int(m)] = parse_bits(bits).numbers
    return grid


def jobs_of(grid: dict[int, tuple[int, ...]], rates: list[float]) -> list[Job]:
    """All runs."""
    jobs = []
    for rate in rates:
        for m, budgets in grid.items():
            jobs += [Job(method, m, budgets, rate) for method in AFTER]
            for bits in budgets:
                jobs += [Job(method, m, (bits,), rate) for method in LEARNED]
                jobs += [
                    Job("vector", m, (bits,), rate, length)
                    for length in (1, 2, 4)
                    if length * bits <= 8
                ]
    return jobs
