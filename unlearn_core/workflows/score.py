"""Scoring the channels of a model."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unlearn_core.channels.activations import collect, first_per_class, save_stats
from unlearn_core.channels.scoring import METRICS
from unlearn_core.models.inference import choose_device
from unlearn_core.params import build
from unlearn_core.progress import Report
from unlearn_core.results.result import ScoreResult
from unlearn_core.store.files import write_npz
from unlearn_core.workflows.ends import conditions, inputs_of, open_both
from unlearn_core.workflows.requests import ScoreRequest


def score(request: Mapping[str, Any], folder: Path, report: Report) -> ScoreResult:
    """Collects activation statistics on the training images; writes `stats.npz` and `scores.npz`."""
    asked = build(ScoreRequest, request["settings"])
    started = time.monotonic()
    dataset, loaded = open_both(asked, report)
    chosen = torch.from_numpy(first_per_class(dataset.train.labels.numpy(), asked.per_class))
    stats = collect(loaded.model, dataset.train.select(chosen), dataset.classes, tap=asked.tap, report=report)
    save_stats(stats, folder / "stats.npz")
    arrays = {
        f"{layer}/{name}": METRICS[metric](stats.mean(layer))
        for layer in stats.layers
        for name, metric in _SCORE_ARRAYS
    }
    extra = {
        "counts": stats.counts,
        "classes": np.array(stats.classes),
        "layers": np.array(stats.layers),
    }
    write_npz(folder / "scores.npz", {**arrays, **extra})
    return ScoreResult(
        layers={layer: stats.sums[layer].shape[1] for layer in stats.layers},
        counts=tuple(stats.counts.tolist()),
        classes=stats.classes,
        notes=(*loaded.notes, *dataset.notes),
        seconds=round(time.monotonic() - started, 2),
        inputs=inputs_of(dataset, loaded),
        **conditions(torch.device(choose_device(asked.device)), "float32"),
    )


_SCORE_ARRAYS = (("mean", "mean"), ("tf", "tf"), ("tfidf", "tf_idf"))
