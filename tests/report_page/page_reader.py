"""Reads a report's page as a stranger would: its text, its keyed figures and its charts."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "wbr", "br", "link", "img", "input", "hr"}
UNITS = {
    "": 1.0, "bits": 1.0, "MACs": 1.0, "FLOPs": 1.0, "1/s": 1.0, "B": 1.0, "bytes": 1.0,
    "KiB": 1024.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "%": 0.01, "x": 1.0,
}  # fmt: skip


@dataclass
class Node:
    """An element; `text` is all text inside it."""

    tag: str
    attributes: dict[str, str]
    children: list["Node"] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str | None = None, **attributes: str) -> list["Node"]:
        """Descendants, in order; `class_` must be among an element's classes."""
        found = []
        for child in self.children:
            kinds = child.attributes.get("class", "").split()
            right = tag in (None, child.tag)
            for key, value in attributes.items():
                right &= value in kinds if key == "class_" else child.attributes.get(key) == value
            found += (
                [child, *child.all(tag, **attributes)] if right else child.all(tag, **attributes)
            )
        return found


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for node in self.open:
            node.text += data


def parse(page: str) -> Node:
    """The tree; it fails where elements are not closed in order."""
    builder = _Builder()
    builder.feed(page)
    builder.close()
    assert len(builder.open) == 1
    return builder.root


def keyed(root: Node) -> list[tuple[str, str]]:
    """(key, text) of all figures."""
    return [
        (node.attributes["data-key"], node.text.strip())
        for node in root.all()
        if "data-key" in node.attributes
    ]


def number(text: str) -> tuple[float, float]:
    """Value of `1,234.5 KiB` and half a unit of its last digit: what rounding may have moved."""
    found = re.fullmatch(r"(-?[\d,]+)(\.\d+)?(e[+-]\d+)?(?: (\S+))?", text)
    assert found, f"{text!r} is no figure with a unit"
    whole, part, power, unit = found.groups(default="")
    scale = UNITS[unit] * 10.0 ** int(power[1:] or 0)
    value = float(whole.replace(",", "") + part)
    return value * scale, 0.5 * 10.0 ** -max(len(part) - 1, 0) * scale


def lookup(tree: Any, key: str) -> Any:
    """What stands in a JSON at `sides.ue.layers.0.macs`; names of devices may have dots."""
    if not key:
        return tree
    if isinstance(tree, list):
        head, _, rest = key.partition(".")
        return lookup(tree[int(head)], rest)
    fitting = [name for name in tree if key == name or key.startswith(f"{name}.")]
    assert fitting, f"no {key}"
    name = max(fitting, key=len)
    return lookup(tree[name], key[len(name) + 1 :])


def disagreements(root: Node, result: dict[str, Any]) -> list[str]:
    """Figures of a page that are not those of the JSON."""
    wrong = []
    for key, text in keyed(root):
        value = lookup(result, key)
        if value is None or text == "":
            if value is not None or text:
                wrong.append(f"{key}: {text!r}, {value}")
            continue
        shown, half = number(text)
        # Whole numbers are printed in full, so that nothing may differ.
        exact = isinstance(value, int) and "KiB" not in text
        if abs(shown - value) > (0 if exact else half * 1.0001 + 1e-12 * abs(value)):
            wrong.append(f"{key}: {text!r}, {value}")
    return wrong
