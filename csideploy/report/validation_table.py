"""The outcome of `csideploy validate`, for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table


def show(result: dict[str, Any], console: Console) -> None:
    """Print every check with what was measured."""
    table = plain_table(f"{result['target']}: {result['name']}")
    table.add_column("", no_wrap=True)
    table.add_column("check")
    table.add_column("measured")
    for check in result["checks"]:
        detail = check["detail"]
        if "first_diverging_layer" in check:
            detail += f"\nfirst diverging layer: {check['first_diverging_layer']}"
        table.add_row("ok" if check["holds"] else "FAILS", check["name"], detail)
    console.print(table)
    measured = result["measured"]
    if "ue_codes_in_band" in measured:
        console.print(
            f"{measured['ue_codes_in_band']} of {measured['ue_codes']:,} codes lie in the band of "
            "1e-5 around a threshold."
        )
    if "nmse_db" in measured:
        console.print(
            f"NMSE {measured['nmse_db']:.4f} dB by our runtime, "
            f"{measured['nmse_db_onnxruntime']:.4f} dB by ONNX Runtime, "
            f"{result['samples']} samples."
        )
    if "nmse_db_fp32" in measured:
        more = measured["nmse_db"] - measured["nmse_db_fp32"]
        console.print(
            f"The fp32 files by ONNX Runtime: {measured['nmse_db_fp32']:.4f} dB; "
            f"int8 costs {more:+.4f} dB."
        )
    console.print(f"Inputs: {result['inputs']}", style="dim")
