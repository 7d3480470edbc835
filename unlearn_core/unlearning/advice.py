"""What a person should know about settings before a run: what was measured to go wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "Recommended": {},
    "Quick": {"images_per_class": 30, "tune_images": 768, "batch_size": 32, "epochs": 1},
    "Paper as released (global threshold)": {
        "scope": "global",
        "where": "all",
        "tap": "conv_relu",
        "ratio": 0.05,
        "epochs": 10,
        "lr": 0.1,
        "residual": "mask",
    },
}
"""Settings of TF-IDF pruning by name; what a preset doesn't name is the default."""


def warnings(method: str, params: Mapping[str, Any], forget: Sequence[str], num_classes: int) -> list[str]:
    """A sentence for each setting that is unreasonable or was measured to fail; none for reasonable ones."""
    told = [text for applies, text in _OF_PRUNING if applies(params)] if method in _PRUNE else []
    if num_classes and len(forget) > num_classes / 2:
        told.append(
            f"{len(forget)} of {num_classes} classes are to be forgotten; with so few left, accuracy says little."
        )
    return told


def _at_least(name: str, value: float) -> Any:
    return lambda params: params.get(name, -1) is not None and params.get(name, -1) >= value


_PRUNE = ("tfidf_prune", "random_prune")
_OF_PRUNING: tuple[tuple[Any, str], ...] = (
    (
        lambda p: p.get("scope") == "global",
        "One threshold over all layers is the paper's released setting. On the models measured here it empties the narrow "
        "layers, wrecks every class, and the forgotten one may come back during fine-tuning.",
    ),
    (
        lambda p: p.get("scope") != "global" and p.get("ratio", 0) > 0.5,
        "More than half of the channels go: the other classes will need long fine-tuning; random channels may do as well.",
    ),
    (
        lambda p: p.get("ratio", 1) == 0,
        "A ratio of 0 prunes nothing; raise it.",
    ),
    (
        _at_least("lr", 0.05),
        "At a learning rate of 0.05 fine-tuning alone was measured to forget the class, at 5 to 10 points of the other "
        "classes (3,600 CIFAR-10 images): what is forgotten then says little of the pruning.",
    ),
    (
        lambda p: p.get("epochs", 1) == 0,
        "Without fine-tuning the other classes keep the damage of the pruning.",
    ),
    (
        _at_least("epochs", 51),
        "More than 50 epochs come close to the cost of retraining from scratch.",
    ),
    (
        lambda p: p.get("direction", "high") != "high",
        "Pruning low or random scores is a control: it shows what the scores are worth, and forgets by accident only.",
    ),
    (
        lambda p: 0 < p.get("images_per_class", 200) < 20,
        "Fewer than 20 images a class make the scores depend on which images they are.",
    ),
)
