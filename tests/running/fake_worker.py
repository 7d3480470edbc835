"""Stands in for `python -m unlearn_core execute RUN`: real job control around work that is easy to watch."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report
from unlearn_core.running.worker import execute
from unlearn_core.store.files import write_bytes, write_json
from unlearn_core.store.runs import RunStore

BLOCK = 50_000


def count(request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    """Counts to `steps`, writing a file a step, and goes on where an attempt before was killed."""
    state = folder / "state.json"
    start = json.loads(state.read_text())["step"] if state.exists() else 0
    steps = request.get("steps", 3)
    for step in range(start, steps):
        write_bytes(folder / f"block-{step % 4}.bin", bytes([step % 251]) * BLOCK)
        write_json(state, {"step": step + 1})
        report(Progress("counting", step + 1, steps, {"epoch": step, "loss": 1 / (step + 1)}))
        time.sleep(request.get("pause", 0.0))
    return {"steps": steps, "started_at": start}


def timed(request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    """Says when it began and ended, so that overlaps show."""
    began = time.time()
    for step in range(request.get("steps", 3)):
        report(Progress("working", step + 1, request.get("steps", 3)))
        time.sleep(0.1)
    return {"began": began, "ended": time.time(), "torch": "torch" in sys.modules}


def deaf(request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    """Never reports again, as a long call into a library."""
    report(Progress("a long call", 0, 1))
    time.sleep(600)
    return {}


def fail(request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    """Raises what the request names, after it has written a file."""
    write_bytes(folder / "partial.bin", b"partial")
    errors: dict[str, Exception] = {
        "mendable": UnlearnError("The class 'cat' is unknown; choose among: dog."),
        "memory": MemoryError(),
        "torch memory": type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"),
        "fault": ZeroDivisionError("a secret detail"),
    }
    raise errors[request["error"]]


def full(request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    """Writes more than the kernel lets it, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    write_bytes(folder / "small.bin", b"x")
    write_bytes(folder / "model.safetensors", bytes(1_000_000))
    return {}


WORK: dict[str, Callable[[dict[str, Any], Path, Report], dict[str, Any]]] = {
    "count": count,
    "timed": timed,
    "deaf": deaf,
    "fail": fail,
    "full": full,
}


def run_workflow(kind: str, request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    """What `workflows` is to the real worker."""
    return WORK[kind](request, folder, report)


if __name__ == "__main__":
    sys.exit(execute(RunStore(), sys.argv[1], run_workflow))
