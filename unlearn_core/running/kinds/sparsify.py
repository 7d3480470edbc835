"""A run that makes a model sparse."""

from unlearn_core.params import Setting, settings_of
from unlearn_core.results.result import SparsifyResult
from unlearn_core.running.kinds.kind import Kind, Output, Params
from unlearn_core.sparsify.registry import find_sparsifier
from unlearn_core.words import percent, seconds
from unlearn_core.workflows.requests import SparsifyRequest


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
)
