"""Verbs on devices and time: targets and bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from csideploy.cli_shell import Json, print_json, progress, say, table_console
from csideploy.errors import InputError


def targets(
    name: Annotated[
        str | None, typer.Argument(help="One target, by name or TOML file, with its sources.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Devices that reports and plans know: peak rates, clock, memories, and how sure they are.

    Example: csideploy targets

    One, with its sources: csideploy targets cortex-m55
    """
    from csideploy.report import target_list
    from csideploy.targets.files import HOST, host_file, load, names

    if name is not None:
        target = load(name)
        if as_json:
            print_json(target_list.figures(target))
        else:
            target_list.show_one(target, table_console())
        return
    known = [*([HOST] if host_file().is_file() else []), *names()]
    found = [load(known_name) for known_name in known]
    if as_json:
        print_json({"targets": [target_list.figures(target) for target in found]})
    else:
        target_list.show(found, table_console())
        if HOST not in known:
            say("This host is not among them yet: csideploy bench --calibrate")


def bench(
    package: Annotated[
        Path | None, typer.Argument(help="A folder that `csideploy export` made.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Peers, with commas: onnxruntime, openvino.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Windows of a millisecond, 101; of --calibrate passes, 40."),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Write this host's target file instead.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Beside the measured times those that the model says.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Of --calibrate: the file, if not the user's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Latency of both sides of a link, beside other runtimes in the same process.

    Example: csideploy bench P --against onnxruntime

    This host as a target, so that reports can say what the model says of it:
    csideploy bench --calibrate

    Then how far the model is off: csideploy bench P --check
    """
    if calibrate:
        if package is not None or against is not None or check:
            raise InputError("--calibrate takes no package, no --against and no --check")
        _calibrate(out, rounds or 40, as_json)
        return
    if package is None:
        raise InputError("bench needs a package, or --calibrate")
    if out is not None:
        raise InputError(f"--out {out} goes with --calibrate")
    from csideploy import bench as benching
    from csideploy.package import open_package
    from csideploy.report import bench_table
    from csideploy.targets.files import HOST, load

    peers = [peer.strip() for peer in against.split(",")] if against else []
    target = load(HOST) if check else None
    with progress("measuring") as advance:
        result = benching.bench(
            open_package(package), against=peers, rounds=rounds or 101, progress=advance
        )
    if target is not None:
        from csideploy.targets.check import check_package

        result["model"] = check_package(open_package(package), target, result)
    if as_json:
        print_json(result)
    else:
        bench_table.show(result, table_console())


def _calibrate(out: Path | None, rounds: int, as_json: bool) -> None:
    from csideploy.outputs import file_aside
    from csideploy.targets.calibrate import calibrate
    from csideploy.targets.files import host_file, parse
    from csideploy.targets.write import as_toml

    path = out or host_file()
    if out is not None and not out.parent.is_dir():
        raise InputError(f"--out {out}: no such folder {out.parent}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, a file is needed")
    with progress("measuring synthetic layers") as advance:
        tables = calibrate(rounds=rounds, progress=advance)
    text = as_toml(
        tables, "Written by csideploy bench --calibrate; docs/targets-files.md has the format."
    )
    parse(text.encode(), path.stem, str(path))
    if out is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    with file_aside(path) as file:
        file.write(text.encode())
    if as_json:
        print_json({"out": str(path), **tables})
    else:
        say(f"{path}: {tables['title']}; csideploy targets host shows it")
