"""From the start of the app to the first figure, and from a click on the heatmap to the changed detail, in a real Chromium.

python -m benchmarks.page_start [--repeats 5]
"""

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from benchmarks.record import print_table, save

ROOT = Path(__file__).resolve().parent.parent
CHART = "[data-testid='stVegaLiteChart'] canvas, [data-testid='stVegaLiteChart'] svg"


def started(home):
    """A new server, and the seconds until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    begin = time.perf_counter()
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "LETHE_HOME": home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return server, address, time.perf_counter() - begin
        except OSError:
            time.sleep(0.05)


def figure_seconds(tab, address):
    """Seconds from the request to the finding, the sentence under the title, and to the first figure."""
    begin = time.perf_counter()
    tab.goto(address)
    tab.wait_for_selector("h4", timeout=120_000)
    finding = time.perf_counter() - begin
    tab.wait_for_selector(CHART, timeout=120_000)
    return finding, time.perf_counter() - begin


def click_seconds(tab, heading, right):
    """Seconds from a click on another cell to the changed heading of the detail."""
    before = heading.inner_text()
    box = tab.locator(CHART).first.bounding_box()
    begin = time.perf_counter()
    tab.mouse.click(box["x"] + box["width"] * right, box["y"] + box["height"] * 0.55)
    expect(heading).not_to_have_text(before, timeout=60_000)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    chromium = os.environ.get("LETHE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    rows = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(args.repeats):
            server, address, up = started(home)
            tab = browser.new_page(viewport={"width": 1440, "height": 1000})
            finding, cold = figure_seconds(tab, address)
            tab.wait_for_timeout(8000)  # torch comes in the background meanwhile
            heading = tab.get_by_role("heading", name=re.compile(r"^Channel \d+")).first
            clicks = [click_seconds(tab, heading, right) for right in (0.35, 0.5, 0.65, 0.8)]
            _, warm = figure_seconds(browser.new_page(viewport={"width": 1440, "height": 1000}), address)
            rows.append(
                {
                    "server up": up,
                    "finding": finding,
                    "first figure": cold,
                    "click": statistics.median(clicks),
                    "next visitor": warm,
                }
            )
            print_table([{k: f"{v:.2f} s" for k, v in rows[-1].items()}], header=len(rows) == 1)
            server.terminate()
            server.wait()
        browser.close()
    medians = {k: statistics.median(r[k] for r in rows) for k in rows[0]}
    print_table([{k: f"{v:.2f} s" for k, v in medians.items()}])
    save("page_start", {"arguments": vars(args), "rows": rows, "median": medians, "load": os.getloadavg()})


if __name__ == "__main__":
    main()
