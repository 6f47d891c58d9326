"""From a key to its paint in a browser on the same machine: headless Chromium, a page of `serve`.

It ends with the frame in which the page paints what came back for the letter.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path

from shoritui.benchmark import Aim, Figure, benchmark
from tests.benchmarks.keys import LETTERS
from tests.e2e.browser import Page, browser

SERVE = (sys.executable, "-m", "shoritui", "serve", "--port", "0")
WATCH = """
window.times = [];
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...about) {
    super(...about);
    this.addEventListener("message", (event) => {
      if (event.data instanceof ArrayBuffer) window.heard?.(new TextDecoder().decode(event.data));
    });
  }
};
addEventListener("keydown", (event) => {
  const begun = performance.now();
  window.heard = (text) => {
    if (!text.includes(event.key)) return;
    window.heard = null;
    const painted = () => window.times.push(performance.now() - begun);
    // The terminal reads the text after a moment, and paints it in the frame after that.
    setTimeout(() => requestAnimationFrame(() => setTimeout(painted)), 1);
  };
}, true);
"""


@benchmark(Aim("browser_key_to_paint_p50", "ms", "<= 40"), Aim("browser_key_to_paint_p99", "ms"))
def in_browser() -> dict[str, Figure]:
    """Keys typed into a story in a browser, one after another has been painted."""
    with tempfile.TemporaryDirectory() as folder:
        times = sorted(asyncio.run(_times(Path(folder))))
    quantiles = statistics.quantiles(times, n=100)
    return {
        "browser_key_to_paint_p50": Figure([quantiles[49]]),
        "browser_key_to_paint_p99": Figure([quantiles[98]]),
    }


async def _times(folder: Path) -> list[float]:
    process = await asyncio.create_subprocess_exec(
        *SERVE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SHORITUI_HOME": str(folder / "home"), "TEXTUAL_ANIMATIONS": "none"},
    )
    assert process.stdout is not None
    try:
        address = (await process.stdout.readline()).decode().split()[-1]
        async with browser(folder / "profile") as chromium:
            page = await chromium.page("about:blank")
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
            await page.go_to(address)
            await page.wait_for("Pick a scene")
            await page.press("keeps its letters")
            await page.wait_for(lambda: "Last Tomato" not in page.text)
            await page.press("enter")
            await page.wait_for("as Wren")
            await page.wait_for("ready")
            await page.evaluate("window.times.length = 0")
            return await _typed(page)
    finally:
        process.terminate()
        await process.wait()


async def _typed(page: Page) -> list[float]:
    for count, letter in enumerate(LETTERS, 1):
        await page.press(letter)
        await page.wait_for_script(f"window.times.length >= {count}")
    times: list[float] = await page.evaluate("window.times")
    return times
