"""What scoring every layer costs beyond a plain forward pass over the same images, in time and in memory.

python -m benchmarks.scoring_cost [--model bundled:digits-resnet20] [--data digits] [--device cpu]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import torch

from benchmarks.record import print_table, save
from unlearn_core.channels.activations import collect
from unlearn_core.models.inference import batch_for, evaluating
from unlearn_core.progress import silent
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


def forward(model, images):
    """The plain pass: the same batches, nothing read inside."""
    device = model.mean.device
    size = batch_for(device)
    with evaluating(model), torch.inference_mode():
        for start in range(0, len(images), size):
            model(images.images[start : start + size].to(device))


def keeping(model, images):
    """What a collector does that keeps every activation until the end."""
    kept = []
    hooks = [
        m.register_forward_hook(lambda _m, _i, out: kept.append(out.relu()))
        for m in model.modules()
        if isinstance(m, torch.nn.Conv2d)
    ]
    forward(model, images)
    for hook in hooks:
        hook.remove()


def seconds(work, device):
    """Wall-clock time of a call, the device's queue emptied before and after."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def in_turn(work, device, scoring_first):
    """Seconds of the plain pass and of scoring: turn by turn, so that a busy moment of the machine hits both alike."""
    names = ("scoring", "forward") if scoring_first else ("forward", "scoring")
    taken = {name: seconds(work[name], device) for name in names}
    return taken["forward"], taken["scoring"]


def _wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_megabytes(args, what):
    """Peak resident memory of a process that does one thing."""
    command = [sys.executable, "-m", "benchmarks.scoring_cost", "--model", args.model, "--data", args.data]
    done = subprocess.run(
        [*command, "--images", str(args.images), "--only", what], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:digits-resnet20")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--only", choices=("forward", "scoring", "keeping"))
    args = parser.parse_args()
    dataset, loaded = open_both(Opening(args.model, args.data, device=args.device), silent)
    images, model = dataset.train.select(torch.arange(min(args.images, len(dataset.train)))), loaded.model
    work = {
        "forward": lambda: forward(model, images),
        "scoring": lambda: collect(model, images, dataset.classes),
        "keeping": lambda: keeping(model, images),
    }
    if args.only:
        work[args.only]()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    for name in ("forward", "scoring"):
        work[name]()
    pairs = [in_turn(work, model.mean.device, repeat % 2 == 1) for repeat in range(args.repeats)]
    ratio = statistics.median(scored / plain for plain, scored in pairs)
    row = {
        "model": loaded.card.name,
        "images": len(images),
        "forward s": round(statistics.median(p[0] for p in pairs), 3),
        "scoring s": round(statistics.median(p[1] for p in pairs), 3),
        "ratio": round(ratio, 3),
    }
    if model.mean.device.type == "cpu":
        peaks = {name: peak_megabytes(args, name) for name in work}
        row["MB scoring"] = round(peaks["scoring"] - peaks["forward"])
        row["MB keeping all"] = round(peaks["keeping"] - peaks["forward"])
    print_table([row])
    save(
        f"scoring_cost-{loaded.card.name}-{model.mean.device.type}",
        {"arguments": vars(args), "pairs": pairs, **row},
    )


if __name__ == "__main__":
    main()
