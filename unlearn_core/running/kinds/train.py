"""A run that trains a model."""

from dataclasses import replace

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import Setting, settings_of
from unlearn_core.results.result import TrainResult
from unlearn_core.running.kinds.kind import Kind, Output, Params
from unlearn_core.words import percent
from unlearn_core.workflows.requests import TrainRequest

_FROM_SCRATCH = {"epochs": 12, "lr": 0.1, "schedule": "one_cycle"}
"""The recipe's defaults are those of fine-tuning, and from scratch these would not do."""


def _recipe(name: str) -> tuple[Setting, ...]:
    return tuple(replace(s, default=_FROM_SCRATCH.get(s.name, s.default)) for s in settings_of(Recipe))


def _summary(result: TrainResult, wrote: str) -> str:
    return f"Test accuracy {percent(result.after.test_accuracy, 2)}{wrote}."


KIND = Kind(
    name="train",
    label="Training",
    about="Train a model from scratch.",
    request=TrainRequest,
    result=TrainResult,
    summary=_summary,
    params=Params(_recipe, part="recipe", with_defaults=True),
    output=Output("model.safetensors", "where the model file goes (.safetensors)", required=True),
    on_card=True,
)
