"""How every benchmark prints its table and keeps its numbers, with machine and date."""

import datetime
import json
import os
import platform
import sys
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


def print_table(rows, header=True):
    """Prints rows of equal keys as a text table."""
    widths = {k: max(14, len(str(k)), *(len(str(r[k])) for r in rows)) for k in rows[0]}
    if header:
        print("  ".join(f"{k:{w}}" for k, w in widths.items()))
    for row in rows:
        print("  ".join(f"{row[k]!s:{w}}" for k, w in widths.items()), flush=True)


def save(name, values):
    """Writes `results/NAME.json`, without the folders where this machine keeps images and models."""
    RESULTS.mkdir(exist_ok=True)
    arguments = dict(values.get("arguments", {}))
    named = {"data": lambda text: text.partition(":")[0], "model": lambda text: Path(text).name}
    arguments |= {key: named[key](arguments[key]) for key in named if key in arguments}
    values = {**values, "arguments": arguments} if arguments else values
    path = RESULTS / f"{name}.json"
    path.write_text(
        json.dumps({"date": datetime.date.today().isoformat(), "machine": machine(), **values}, indent=1)
        + "\n"
    )
    print(f"Wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def command_of(module, args, data):
    """The command that runs, without the folders where this machine keeps images and models."""
    named = {args.data: data, args.model: Path(args.model).name}
    return " ".join([f"python -m benchmarks.{module}", *(named.get(word, word) for word in sys.argv[1:])])


def machine():
    """What the numbers were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
