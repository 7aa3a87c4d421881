"""C that is compiled when the benchmark runs, by the system's compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from csideploy.errors import CsideployError

FLAGS = ("-std=gnu99", "-O3", "-march=native", "-fPIC", "-shared")


def load(source: Path, folder: Path, flags: Sequence[str] = ()) -> ctypes.CDLL:
    """A source as a library.

    Raises:
        CsideployError: there is no compiler, or it refuses the source.
    """
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if cc is None:
        raise CsideployError("no C compiler: install gcc or clang")
    out = folder / f"{source.stem}.so"
    command = [cc, *FLAGS, *flags, str(source), "-lm", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CsideployError(f"{cc}: {(done.stderr.strip().splitlines() or ['failed'])[0]}")
    return ctypes.CDLL(str(out))
