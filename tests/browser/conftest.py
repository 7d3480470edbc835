"""A fresh server of the real app, and a real Chromium to drive it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]

# A busy machine is slow, not wrong.
expect.set_options(timeout=90_000)


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_until_up(address, server):
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(address)


@pytest.fixture(scope="module")
def lethe_home(tmp_path_factory):
    """Where the server keeps its runs."""
    return tmp_path_factory.mktemp("lethe")


@pytest.fixture(scope="module")
def address(lethe_home):
    """The address of a server that nobody has visited yet."""
    port = _free_port()
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
    environment = {**os.environ, "LETHE_HOME": str(lethe_home), "OMP_NUM_THREADS": "1"}
    with (lethe_home / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def browser():
    """Chromium: the one that LETHE_CHROMIUM names, or the one on the path."""
    found = os.environ.get("LETHE_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "google-chrome"))), None
    )
    assert found, (
        "No Chromium: install the package 'chromium', or leave these tests out with -m 'not browser'."
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, address):
    """A tab with a fresh session, which must ask no other host for anything and show no exception."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, base_url=address)
    context.set_default_timeout(90_000)
    tab = context.new_page()
    outside = []
    tab.on(
        "request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else outside.append(r.url)
    )
    yield tab
    assert not tab.get_by_test_id("stException").count()
    context.close()
    assert not outside, f"asked other hosts: {outside[:3]}"
