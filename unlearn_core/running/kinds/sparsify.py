"""A run that makes a model sparse."""

import math
from collections.abc import Mapping
from typing import Any

from unlearn_core.params import Setting, settings_of
from unlearn_core.results.result import SparsifyResult
from unlearn_core.running.bench import Bench, Estimate
from unlearn_core.running.kinds.kind import Kind, Output, Params, Request
from unlearn_core.running.watching import seconds_of_work
from unlearn_core.sparsify.registry import find_sparsifier
from unlearn_core.sparsify.sparsifier import effort_of
from unlearn_core.words import percent, seconds
from unlearn_core.workflows.requests import SparsifyRequest

_START = 6.0  # seconds: a process, torch, model, data and the evaluations before and after
_SAME = ("model", "data", "sparsifier", "strict", "forget", "fraction")
_BUSIER = "Other work on this machine makes it longer."


def _settings(sparsifier: str) -> tuple[Setting, ...]:
    return settings_of(find_sparsifier(sparsifier).params)


def _summary(result: SparsifyResult, wrote: str) -> str:
    before, after = (evaluation.test_accuracy for evaluation in (result.before, result.after))
    lines = [
        f"{percent(result.sparsity, 2)} of the convolutions' weights are gone; test accuracy "
        f"{percent(before, 2)} -> {percent(after, 2)}.",
        f"Masks with and without the forget set share {percent(result.overlap.iou)} of their weights."
        if result.overlap
        else "",
        f"{seconds(result.seconds)}{wrote}.",
        *result.notes,
    ]
    return "\n".join(line for line in lines if line)


def _estimate(request: Request, bench: Bench) -> Estimate:
    """As long as the last run like it, else from one measured training step."""
    for record in bench.past("sparsify"):
        theirs = record.request.get("settings", {})
        same = all(theirs.get(name) == request["settings"].get(name) for name in _SAME)
        if same and record.request.get("params") == request["params"]:
            return Estimate(
                seconds_of_work(record) or _START,
                f": as long as the last run like it. {_BUSIER}",
                by_past=True,
            )
    return _computed(request["settings"], request["params"], bench)


def _computed(settings: Mapping[str, Any], values: Mapping[str, Any], bench: Bench) -> Estimate:
    from unlearn_core.sparsify.dense import origin_of
    from unlearn_core.workflows.sparsify import recorded, sparsifier_params

    loaded, dataset = bench.inputs
    sparsifier = find_sparsifier(settings["sparsifier"])
    params = sparsifier_params(sparsifier, values, loaded)
    given = origin_of(params, recorded(loaded, dataset), settings["seed"]).given
    effort = effort_of(sparsifier, params, given=given, strict=settings["strict"])
    step, steps = (
        bench.step(params.batch_size, params.precision),
        math.ceil(len(dataset.train) / params.batch_size),
    )
    flows = effort.flows * bench.flow() if effort.flows else 0.0
    source = f": {effort.epochs} epochs of {steps} steps, one of which took {step:.2g} s on {bench.device}. {_BUSIER}"
    return Estimate(_START + effort.epochs * steps * step + flows, source)


KIND = Kind(
    name="sparsify",
    label="Sparsifying",
    about="Make a model sparse, so that it forgets more easily.",
    request=SparsifyRequest,
    result=SparsifyResult,
    summary=_summary,
    params=Params(_settings, of="sparsifier", heading="settings of {}"),
    required=lambda sparsifier: ("model", "data"),
    output=Output("model.safetensors", "where the sparse model goes (.safetensors)", required=True),
    on_card=True,
    keeps_parts=True,
    estimate=_estimate,
)
