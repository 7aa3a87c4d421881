"""Every decision of the verifier is seen both ways.

The bad-bundle tests are run once more while a plugin writes down what they hand to `Part`; a build
that counts branches opens all of it. A rule that no row provokes, or an operand of && or || that
never decides, is named by its line.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from c_build import build, compiler, run
from every_operation import FILE

HERE = Path(__file__).parent

# (text of the line, why a branch of it is never taken)
UNREACHABLE = {
    "switch (": "every code has a case and the table refuses the others",
    "if (!low_byte_first)": "test_big_endian_refuses has it",
    "if (bundle == NULL || size": "Python hands over no null; the driver's abuse has it",
    "if (((uintptr_t)bundle": "Python's buffer is aligned; the driver's abuse has it",
    "if (part->kernels == NULL": "this build has every kernel; the driver's abuse has it",
    "if (header->arena_bytes > SIZE_MAX)": "on 32-bit hosts only",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "archive"
    tests = [str(p) for p in sorted(HERE.glob("test_bad_*.py"))]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [*command, "-p", "record_bundles", *tests],
        env={**os.environ, "BUNDLE_ARCHIVE": str(path), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    sound = FILE.read_bytes()
    path.write_bytes(path.read_bytes() + len(sound).to_bytes(8, "little") + sound)
    return path


def test_every_branch_of_the_verifier_is_taken(
    repository: Path, tmp_path: Path, archive: Path
) -> None:
    gcc, gcov = compiler("gcc"), compiler("gcov")
    core = sorted(map(str, repository.glob("runtime/src/*.c")))
    flags = ["-O0", "--coverage"]
    program = build(repository, gcc, tmp_path / "o", *flags, main="open_archive.c", library=core)
    statuses = run([program, archive]).split()
    assert statuses.count("OK") > 20
    assert len(statuses) > 200
    missing = untaken(tmp_path, gcov)
    assert not missing, "never decided that way:\n" + "\n".join(missing)


def untaken(folder: Path, gcov: str) -> list[str]:
    taken: dict[tuple[str, int], list[int]] = defaultdict(list)
    for counts in sorted(folder.glob("*verify*.gcda")):
        text = subprocess.run(
            [gcov, "-b", "--json-format", "--stdout", counts], capture_output=True, cwd=folder
        ).stdout
        for file in json.loads(text)["files"]:
            if "verify" not in Path(file["file"]).name:
                continue
            for line in file["lines"]:
                add(taken[file["file"], line["line_number"]], line["branches"])
    assert len({file for file, _ in taken}) >= 5
    out = []
    for (file, number), counts in sorted(taken.items()):
        text = Path(file).read_text(encoding="utf-8").splitlines()[number - 1].strip()
        never = [i for i, count in enumerate(counts) if count == 0]
        if never and not any(text.startswith(known) for known in UNREACHABLE):
            out.append(f"{Path(file).name}:{number}: branch {never} of {len(counts)}: {text}")
    return out


def add(totals: list[int], branches: list[dict[str, int]]) -> None:
    """Sums over the files that include a header."""
    totals += [0] * (len(branches) - len(totals))
    for i, branch in enumerate(branches):
        totals[i] += branch["count"]
