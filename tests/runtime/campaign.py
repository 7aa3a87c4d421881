"""The long campaigns against the verifier and the kernels; `make test` runs short ones.

    make flips                 every single bit of every bundle at hand, and more; some minutes
    make fuzz SECONDS=600      libFuzzer from the committed seeds; needs clang

or this file with the same words. Both build with the address and undefined behaviour sanitizers,
end at the first fault with a status other than 0, and print what they tried. `flips` runs what it
accepts of the micro-bundle, the one-step and the RU bundles; the zoo's bundles are verified only.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from c_build import SANITIZE, build, compiler
from every_operation import FILE, SEEDS
from ru_bundles import FILES as RU_FILES

REPOSITORY = Path(__file__).resolve().parents[2]
FUZZER = ["-O1", "-g", *(flag.replace("=address", "=fuzzer,address") for flag in SANITIZE)]
# The weights of a large bundle are not summed again for each bit of its plan.
DRIVER = ["-O1", "-g", *SANITIZE, "-DREMEMBER_LARGE_CRC", "-Wl,--wrap=csd_crc32"]
Counts = dict[str, int]


def counts(text: str) -> Counts:
    """What the driver prints: bundles tried, refused, accepted and harmless, too large to run."""
    match = re.search(r"tried (\d+) refused (\d+) harmless (\d+) large (\d+)\n", text)
    assert match, text
    return dict(
        zip(("tried", "refused", "harmless", "large"), map(int, match.groups()), strict=True)
    )


def drive(driver: Path, verb: str, bundle: Path, *numbers: int) -> Counts:
    command = [str(driver), verb, str(bundle), *map(str, numbers)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return counts(result.stdout)


def zoo_bundles(folder: Path, entries: str = "*") -> list[Path]:
    """Every part of the zoo's entries, compiled into `folder`."""
    from csideploy.bundles import compile_file

    out = []
    for model in sorted(REPOSITORY.glob(f"zoo/{entries}/*.onnx")):
        path = folder / f"{model.parent.name}-{model.stem}.csib"
        compile_file(model, path, side=model.stem, part="part", vectors=0)
        out.append(path)
    return out


def flips(folder: Path) -> None:
    driver = build(REPOSITORY, compiler("cc", "gcc", "clang"), folder / "driver", *DRIVER)
    jobs: list[tuple[str, Path, tuple[int, ...]]] = [
        *(("flip", path, (0, 1)) for path in (FILE, *RU_FILES, *sorted(SEEDS.glob("*.csib")))),
        ("weights", FILE, (100_000,)),
        ("shake", FILE, (500_000,)),
        *(("verify", path, (0, 1)) for path in zoo_bundles(folder)),
    ]
    total = dict.fromkeys(("tried", "refused", "harmless", "large"), 0)
    for verb, path, numbers in jobs:
        start = time.monotonic()
        found = drive(driver, verb, path, *numbers)
        total = {key: total[key] + found[key] for key in total}
        print(f"{verb:8}{path.stem:24}{found}  {time.monotonic() - start:.1f} s", flush=True)
    print(f"all: {total}")


def fuzz(folder: Path, seconds: int, corpus: Path) -> int:
    program = build(REPOSITORY, compiler("clang"), folder / "fuzz", *FUZZER, main="fuzz_bundle.c")
    corpus.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=16384",
        "-timeout=20",
        "-print_final_stats=1",
    ]
    artifacts = f"-artifact_prefix={corpus.parent}/"
    folders = [str(corpus), str(SEEDS), str(RU_FILES[0].parent), str(FILE.parent)]
    return subprocess.run([str(program), *options, artifacts, *folders]).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", choices=["flips", "fuzz"])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=REPOSITORY / "build" / "fuzz" / "corpus")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.campaign == "fuzz":
            return fuzz(Path(folder), options.seconds, options.corpus)
        flips(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
