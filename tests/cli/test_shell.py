"""How every verb speaks: help, JSON, streams, exit codes, imports; and full disks."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from csideploy.errors import OutputError
from csideploy.link_export import make_package
from csideploy.link_source import LinkSource

from .conftest import WANTED, Run

VERBS = (
    "systems",
    "data generate",
    "data info",
    "train",
    "export",
    "compile",
    "run",
    "encode",
    "decode",
    "validate",
    "report",
    "plan",
    "bench",
    "evaluate",
    "inspect",
    "targets",
    "supported-ops",
)
PROGRAM = (sys.executable, "-c", "from csideploy.cli import main; main()")


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_and_json(verb: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run(*verb.split(), "--help")
    assert result.exit_code == 0
    assert f"Example: csideploy {verb} " in result.stdout.replace("\n", " ") + " "
    assert "--json" in result.stdout


def test_every_verb_is_tested_here(run: Run) -> None:
    listed = run("--help").stdout
    assert {verb.split()[0] for verb in VERBS} == {
        line.split()[1] for line in listed.splitlines() if line[:2] == "│ " and line[2].isalpha()
    }


def test_json_is_one_object_and_nothing_else(
    tmp_path: Path, package: Path, csi_file: Path, run: Run
) -> None:
    p, h, made = tmp_path / "p", tmp_path / "h.npy", tmp_path / "made.npz"
    verbs: tuple[tuple[object, ...], ...] = (
        ("systems",),
        ("data", "generate", "--scenario", "indoor", "--samples", 20, "--out", made),
        ("data", "info", csi_file),
        ("compile", package / "ue.onnx", "--out", tmp_path / "ue.csib"),
        ("run", package / "ue.csib", package / "vectors.npz", "--out", tmp_path / "o.npy"),
        ("encode", package, csi_file, "--out", p),
        ("decode", package, p, "--out", h, "--reference", csi_file),
        ("validate", package),
        ("report", package, "--rounds", 1),
        ("plan", "--max-bits", 2048),
        ("bench", package, "--rounds", 1),
        ("inspect", package / "bs.csib"),
        ("targets",),
        ("supported-ops",),
    )
    for arguments in verbs:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        assert isinstance(json.loads(result.stdout), dict)


@pytest.mark.parametrize(
    "arguments", [("report", "none"), ("report", "--no-such-option", "none"), ("report",)]
)
def test_failures_are_json_too(arguments: tuple[str, ...], run: Run) -> None:
    result = run(*arguments, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["exit_code"] == 2
    assert "rror" in result.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("reprot P", "'report'"),
        ("--moon systems", "--moon"),
        ("encode", "'package' (see `"),
        ("encode P x --out y --moon", "--moon"),
        ("systems --cr four", "--cr"),
        ("data generate --scenario moon --samples 4 --out x.npz", "'indoor', 'outdoor'"),
        ("data generate --scenario indoor --samples 0 --out x.npz", "--samples"),
        ("data generate --scenario indoor --samples 1000000000000 --out x.npz", "--samples"),
    ],
)
def test_bad_use_is_one_line(line: str, words: str, run: Run) -> None:
    result = run(*line.split())
    assert result.exit_code == 2
    (error,) = result.stderr.splitlines()
    assert error.startswith("csideploy: error: ")
    assert words in error


def interruptible() -> None:
    """A shell starts what runs in the background with interrupts ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_is_one_line(tmp_path: Path) -> None:
    arguments = ("data", "generate", "--scenario", "indoor", "--samples", "200000")
    command = [*PROGRAM, *arguments, "--out", str(tmp_path / "big.npz")]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
    ) as child:
        # Its hidden folder says that the work has begun.
        while child.poll() is None and not list(tmp_path.iterdir()):
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    assert stderr == "csideploy: interrupted\n"


def call(*arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload, no-any-return]


def test_help_is_light() -> None:
    code = (
        "import sys; sys.argv = ['csideploy', '--help']\n"
        "from csideploy.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'scipy', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_encode_needs_neither_torch_nor_onnx(package: Path, csi_file: Path, tmp_path: Path) -> None:
    arguments = ["csideploy", "encode", str(package), str(csi_file), "--out", str(tmp_path / "p")]
    code = (
        f"import sys; sys.argv = {arguments!r}\n"
        "from csideploy.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def limited() -> None:
    """In the child: no file may grow beyond 50 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


def test_a_file_that_may_not_grow(package: Path, csi_file: Path, tmp_path: Path) -> None:
    for arguments in (
        ("encode", package, csi_file, "--out", tmp_path / "p.bin"),
        ("compile", package / "ue.onnx", "--out", tmp_path / "m.csib"),
    ):
        done = call(*arguments, preexec_fn=limited)
        assert done.returncode == 2, done.stderr
        assert "csideploy: error: cannot write" in done.stderr.splitlines()[-1]
        assert not list(tmp_path.iterdir())


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Path:
    """A disk of 64 kB, where this process may mount one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    return folder


def test_a_full_disk(
    tiny_disk: Path, package: Path, csi_file: Path, tmp_path: Path, run: Run
) -> None:
    assert run("encode", package, csi_file, "--out", tmp_path / "p").exit_code == 0
    try:
        for arguments in (
            ("encode", package, csi_file, "--out", tiny_disk / "p.bin"),
            ("decode", package, tmp_path / "p", "--out", tiny_disk / "h.npy"),
        ):
            result = run(*arguments)
            assert result.exit_code == 2, result.output
            last = result.stderr.splitlines()[-1]
            assert last.startswith(f"csideploy: error: cannot write {tiny_disk}")
            assert "no space left" in last
            assert not list(tiny_disk.iterdir())
    finally:
        subprocess.run(["umount", str(tiny_disk)], check=False)


def test_a_package_on_a_full_disk(tiny_disk: Path, source: LinkSource) -> None:
    try:
        with pytest.raises(OutputError, match="no space left on device; nothing was written"):
            make_package(source, WANTED, tiny_disk / "P")
        assert not list(tiny_disk.iterdir())
    finally:
        subprocess.run(["umount", str(tiny_disk)], check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_standard_output_that_is_full_or_closed() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "supported-ops"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["csideploy: error: no space left on device"]
    command = " ".join(f"'{word}'" for word in (*PROGRAM, "systems", "--json"))
    piped = f"set -o pipefail; {command} | head -c 1"
    done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_traceback_on_request(package: Path) -> None:
    shown = call("report", "none", env={**os.environ, "CSIDEPLOY_TRACEBACK": "1"})
    assert "Traceback" in shown.stderr


def test_a_terminal_without_unicode(csi_file: Path, tmp_path: Path) -> None:
    odd = tmp_path / "käse.npz"
    odd.write_bytes(csi_file.read_bytes())
    shown = call("data", "info", odd, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert shown.returncode == 0, shown.stderr
    assert "delay profile" in shown.stdout
    assert "k\\xe4se.npz" in shown.stdout


def test_devices_and_links_stay_what_they_are(
    package: Path, csi_file: Path, tmp_path: Path
) -> None:
    assert call("encode", package, csi_file, "--out", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()
    target, link = tmp_path / "p.bin", tmp_path / "link"
    link.symlink_to(target)
    assert call("encode", package, csi_file, "--out", link).returncode == 0
    assert link.is_symlink()
    assert target.stat().st_size == 32 + 260 * 256
