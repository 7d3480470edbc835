"""Downloads from a server of the test's own."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from unlearn_core.data.download import fetch
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, RunCancelled, silent

CONTENT = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is not the place."""


class Short(BaseHTTPRequestHandler):
    """Promises more than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def serve(handler: object) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file").write_bytes(CONTENT)
    for address in serve(partial(Quiet, directory=str(tmp_path / "served"))):
        yield f"{address}/file"


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_arrives_whole_with_progress_in_bytes(url: str, tmp_path: Path) -> None:
    heard: list[Progress] = []
    target = tmp_path / "new" / "file"
    fetch(url, target, MD5, heard.append)
    assert target.read_bytes() == CONTENT
    assert left(target.parent) == ["file"]
    assert {(p.stage, p.total, p.metrics["unit"]) for p in heard} == {("downloading", len(CONTENT), "bytes")}
    done = [p.done for p in heard]
    assert done == sorted(done) and done[0] == 0 and done[-1] == len(CONTENT) and len(done) >= 5


def test_wrong_checksum_leaves_nothing(url: str, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    with pytest.raises(UnlearnError, match=f"not the published file.*{MD5}.*put the right file at"):
        fetch(url, target, "0" * 32, silent)
    assert left(target.parent) == []


def test_wrong_checksum_keeps_the_file_that_was_there(url: str, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(UnlearnError):
        fetch(url, target, "0" * 32, silent)
    assert target.read_bytes() == b"old"


def test_cancelling_stops_in_the_middle_and_leaves_nothing(url: str, tmp_path: Path) -> None:
    def cancel(progress: Progress) -> None:
        if progress.done > 0:
            raise RunCancelled

    target = tmp_path / "new" / "file"
    with pytest.raises(RunCancelled):
        fetch(url, target, MD5, cancel)
    assert left(target.parent) == []


def test_missing_page_and_silent_host_are_sentences(url: str, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    with pytest.raises(UnlearnError, match=r"failed \(HTTP Error 404.*check the connection.*by hand"):
        fetch(f"{url}-not", target, MD5, silent)
    with pytest.raises(UnlearnError, match=r"Downloading http://127.0.0.1:9/x failed"):
        fetch("http://127.0.0.1:9/x", target, MD5, silent)
    assert left(target.parent) == []


def test_a_broken_transfer_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    target = tmp_path / "new" / "file"
    for address in serve(Short):
        with pytest.raises(UnlearnError, match="Downloading|not the published file"):
            fetch(f"{address}/x", target, hashlib.md5(CONTENT * 2).hexdigest(), silent)
    assert left(target.parent) == []
