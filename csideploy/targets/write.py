"""A target's tables as the text of its TOML file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def as_toml(tables: Mapping[str, Any], head: str = "") -> str:
    """Figures in one line each, as in the files that come with csideploy.

    Args:
        tables: as `csideploy.targets.files.Target` takes them: texts, numbers, tables of these, and
            lists of tables.
        head: a comment for people, in one line.
    """
    lines = [f"# {head}"] if head else []
    lines += _table(tables, ())
    return "\n".join(lines) + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines, below = [], []
    for key, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            for entry in value:
                below += ["", f"[[{'.'.join((*path, key))}]]", *_table(entry, (*path, key))]
        elif isinstance(value, Mapping) and "value" not in value:
            below += ["", f"[{'.'.join((*path, key))}]", *_table(value, (*path, key))]
        elif isinstance(value, Mapping):
            inside = ", ".join(f"{name} = {_scalar(own)}" for name, own in value.items())
            lines.append(f"{key} = {{ {inside} }}")
        else:
            lines.append(f"{key} = {_scalar(value)}")
    return lines + below


def _scalar(value: Any) -> str:
    # JSON's texts, numbers and lists of these are TOML's.
    return json.dumps(value, ensure_ascii=True)
