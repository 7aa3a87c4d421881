"""Options: sizes, times and numbers as people write them."""

from __future__ import annotations

import pytest

from csideploy.errors import InputError
from csideploy.options import parse_memory, parse_time


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("64MB", 64_000_000),
        ("64MiB", 67_108_864),
        ("65536", 65_536),
        ("65536B", 65_536),
        ("1.5GB", 1_500_000_000),
        ("1.5GiB", 1_610_612_736),
        ("2kB", 2000),
        ("2KB", 2000),
        ("2KiB", 2048),
        (" 64MB\n", 64_000_000),
        ("64 MB", 64_000_000),
        ("1", 1),
        ("1.9", 1),
        ("1e3", 1000),
    ],
)
def test_memory(text: str, nbytes: int) -> None:
    assert parse_memory(text, "--bs-memory") == nbytes


@pytest.mark.parametrize(
    "text",
    ["", " ", "MB", "-1MB", "0", "0MB", "0.9", "64mb", "64M", "64Mi", "64MBB", "64TB", "MB64",
     "1e400MB", "inf", "nanMB", "2000000GB", "sixty", "1,5MB", "0x40"],
)  # fmt: skip
def test_memory_refused(text: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_memory(text, "--bs-memory")
    assert str(raised.value) == (f"--bs-memory {text}: a size such as 64MB, 64MiB or 65536 (bytes)")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1ms", 1e-3), ("250us", 250e-6), ("0.5 s", 0.5), ("2", 2.0), (" 1e3ns ", 1e-6)],
)
def test_time(text: str, seconds: float) -> None:
    assert parse_time(text, "--ue-latency") == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["", "ms", "0ms", "-1ms", "1min", "nan", "inf", "1e400s", "x"])
def test_time_refused(text: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_time(text, "--ue-latency")
    assert str(raised.value) == f"--ue-latency {text}: a time such as 500us, 1ms or 0.5 (seconds)"
