"""A run that scores the channels of a model."""

from unlearn_core.results.result import ScoreResult
from unlearn_core.running.kinds.kind import Kind, Output
from unlearn_core.workflows.requests import ScoreRequest


def _summary(result: ScoreResult, wrote: str) -> str:
    layers = result.layers
    return f"Scored {sum(layers.values())} channels of {len(layers)} layers{wrote}."


KIND = Kind(
    name="score",
    label="Scoring",
    about="Score every channel of a model for every class.",
    request=ScoreRequest,
    result=ScoreResult,
    summary=_summary,
    required=lambda name: ("model", "data"),
    output=Output("scores.npz", "where the arrays go (.npz)", required=True),
)
