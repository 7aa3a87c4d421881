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
    for budget, figures in measured.get("budgets", {"": measured}).items():
        _show_figures(figures, f"{budget} bits: " if budget else "", result, console)
    console.print(f"Inputs: {result['inputs']}", style="dim")


def _show_figures(
    measured: dict[str, Any], mark: str, result: dict[str, Any], console: Console
) -> None:
    """The lines below the table, once for each bit budget."""
    if "ue_codes_in_band" in measured:
        console.print(
            f"{mark}{measured['ue_codes_in_band']} of {measured['ue_codes']:,} codes lie in the "
            "band of 1e-5 around a threshold."
        )
    if "nmse_db" in measured:
        console.print(
            f"{mark}NMSE {measured['nmse_db']:.4f} dB by our runtime, "
            f"{measured['nmse_db_onnxruntime']:.4f} dB by ONNX Runtime, "
            f"{result['samples']} samples."
        )
    if "sum_rate" in measured:
        console.print(
            f"{mark}Sum rate {measured['sum_rate']:.4f} bit/s/Hz by our runtime, "
            f"{measured['sum_rate_reference']:.4f} by what it is judged by, "
            f"{result['samples']} samples."
        )
    if "sum_rates" in measured:
        users = ", ".join(f"{rate:.3f} of {k}" for k, rate in measured["sum_rates"].items())
        apart = max(
            abs(rate - measured["sum_rates_onnxruntime"][k])
            for k, rate in measured["sum_rates"].items()
        )
        console.print(
            f"Sum rates by our runtime, bit/s/Hz: {users} users; by ONNX Runtime they are "
            f"{apart:.1e} apart at most."
        )
    if "nmse_db_fp32" in measured:
        more = measured["nmse_db"] - measured["nmse_db_fp32"]
        console.print(
            f"{mark}The fp32 files by ONNX Runtime: {measured['nmse_db_fp32']:.4f} dB; "
            f"integers cost {more:+.4f} dB."
        )
