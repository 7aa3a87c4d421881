"""A browser lays the pages out: nothing overflows, no words touch."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
Pages = dict[str, tuple[str, dict[str, Any]]]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

PROBE = """<!DOCTYPE html><meta charset="utf-8"><body>%s<pre id="found"></pre><script>
const found = [];
for (const frame of document.querySelectorAll('iframe')) {
  const page = frame.contentDocument, root = page.documentElement, over = [];
  for (const node of page.body.querySelectorAll('*')) {
    if (node.closest('.scroll') || node.closest('svg')) continue;
    if (node.getBoundingClientRect().right > root.clientWidth + 0.5) over.push(node.tagName);
  }
  const touching = [], outside = [], sizes = [];
  for (const chart of page.querySelectorAll('figure > svg')) {
    const edge = chart.getBoundingClientRect();
    sizes.push(12 * edge.width / chart.viewBox.baseVal.width);
    const texts = [...chart.querySelectorAll('text')];
    const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([words, box], i) => {
      if (box.left < edge.left - 0.5 || box.right > edge.right + 0.5
          || box.bottom > edge.bottom + 0.5)
        outside.push(chart.id + ': ' + words);
      for (const [other, b] of boxes.slice(0, i))
        // Boxes have some space above and below their letters.
        if (Math.min(box.right, b.right) - Math.max(box.left, b.left) > 0.5
            && Math.min(box.bottom, b.bottom) - Math.max(box.top, b.top) > 3)
          touching.push(chart.id + ': ' + words + ' | ' + other);
    });
  }
  found.push({name: frame.title, client: root.clientWidth, scroll: root.scrollWidth, over, touching,
              outside, smallest: Math.min(...sizes)});
}
document.getElementById('found').textContent = JSON.stringify(found);
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser to lay pages out: none of {', '.join(BROWSERS)} on PATH")
    return found


def test_it_fits_phones_and_desks(
    browser: str, pages: Pages, packages: dict[str, Path], tmp_path: Path
) -> None:
    """No overflow at 390 and 1440 pixels, and no words of a chart on others or outside it.

    Pages are laid out in frames of that width, since a window may not get that narrow.
    """
    texts = {kind: text for kind, (text, _) in pages.items()}
    texts |= {f"{kind}, stored": (p / "report.html").read_text() for kind, p in packages.items()}
    frames = "".join(
        f'<iframe title="{name}, {width}" style="border:0;width:{width}px;height:800px" '
        f'srcdoc="{html.escape(text)}"></iframe>'
        for name, text in texts.items()
        for width in (390, 1440)
    )
    page = tmp_path / "probe.html"
    # The script runs when all frames are there.
    page.write_text(
        (PROBE % frames)
        .replace("<script>", "<script>onload = () => {")
        .replace("</script>", "};</script>")
    )
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--window-size=1500,900",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    (report,) = parse_found(done.stdout)
    assert len(report) == 2 * len(texts)
    for entry in report:
        width = int(entry["name"].rpartition(" ")[2])
        assert entry["client"] == width, entry
        assert entry["scroll"] == width, entry
        assert entry["over"] == entry["touching"] == entry["outside"] == [], entry
        # Letters of a chart: nobody reads smaller ones on a phone.
        assert entry["smallest"] >= 10, entry


def parse_found(dom: str) -> list[Any]:
    found = re.findall(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    return [json.loads(html.unescape(text)) for text in found]
