"""Latency of a physically pruned model against the original, turn by turn in one run.

python -m benchmarks.latency [--model bundled:digits-resnet20] [--data digits] [--forget 3]
"""

import argparse
import copy
import statistics
import time

import torch

from benchmarks.record import print_table, save
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.models.inference import evaluating
from unlearn_core.models.size import measure
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.task import Task
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


def once(model, batch):
    """Milliseconds of one batch."""
    if batch.is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    model(batch)
    if batch.is_cuda:
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:digits-resnet20")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--forget", default="3")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=100)
    args = parser.parse_args()
    dataset, loaded = open_both(Opening(args.model, args.data, device=args.device), silent)
    task = Task(
        split_dataset(dataset, ForgetSpec((args.forget,))),
        0,
        silent,
        lambda rung, m: {},
        lambda seed: loaded.model,
    )
    method, rows = find_method("tfidf_prune"), []
    for where, ratio, residual in (
        ("last_stage", 0.2, "mask"),
        ("all", 0.3, "mask"),
        ("all", 0.3, "group"),
        ("all", 0.5, "group"),
    ):
        if residual == "group" and not getattr(loaded.model.net, "residual_prunable", True):
            continue
        params = build(method.params, {"where": where, "ratio": ratio, "residual": residual, "epochs": 0})
        pruned = method.run(copy.deepcopy(loaded.model), params, task).model
        for size in (1, 64):
            batch = dataset.test.images[:size].to(loaded.model.mean.device)
            with evaluating(loaded.model), evaluating(pruned), torch.inference_mode():
                turns = [(once(loaded.model, batch), once(pruned, batch)) for _ in range(args.repeats + 10)]
            pairs = turns[10:]  # the first ones choose their kernels
            before, after = measure(loaded.model, batch), measure(pruned, batch)
            rows.append(
                {
                    "where": where,
                    "ratio": ratio,
                    "residual sums": residual,
                    "batch": size,
                    "ms before": round(statistics.median(p[0] for p in pairs), 2),
                    "ms after": round(statistics.median(p[1] for p in pairs), 2),
                    "times as fast": round(statistics.median(b / a for b, a in pairs), 2),
                    "MACs kept": f"{after.macs / before.macs:.1%}",
                    "parameters kept": f"{after.parameters / before.parameters:.1%}",
                }
            )
            print_table(rows[-1:], header=len(rows) == 1)
    save(
        f"latency-{loaded.card.name}-{loaded.model.mean.device.type}", {"arguments": vars(args), "rows": rows}
    )


if __name__ == "__main__":
    main()
