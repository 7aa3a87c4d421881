"""What a run was made on, and a neighbour that keeps a core half busy."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from csideploy.runtime.isa import choose

PACKAGES = ("csideploy", "numpy", "scipy", "onnx", "onnxruntime", "openvino", "faiss-cpu")
PERIOD_S = 0.01
"""Half of it the neighbour works."""


def description() -> dict[str, Any]:
    """Processor, system, instruction set and versions; nothing that names the machine."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "isa": choose(),
        "versions": versions,
    }


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown"
    fields: dict[str, str] = {}
    for line in told.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name", "unknown")
    family = ", ".join(f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields)
    return f"{name} ({family})" if family else name


def judged(isa: str) -> bool:
    """Whether "at least" is asked for on this machine: only where there is AVX-512 with VNNI."""
    return isa == "avx512"


NEIGHBOUR = f"""
import os, time
parent = os.getppid()
while os.getppid() == parent:
    end = time.perf_counter() + {PERIOD_S / 2}
    while time.perf_counter() < end:
        pass
    time.sleep({PERIOD_S / 2})
"""


@contextlib.contextmanager
def half_busy(wanted: bool) -> Iterator[None]:
    """Another process that works half of the time, on whatever core it is given."""
    if not wanted:
        yield
        return
    neighbour = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])
    try:
        yield
    finally:
        neighbour.terminate()
        neighbour.wait()
