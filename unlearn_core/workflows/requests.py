"""What a person asks of a run on one machine; read without torch by the command line and the forms."""

from dataclasses import dataclass

from unlearn_core.data.sources import forms
from unlearn_core.params import setting


@dataclass(frozen=True)
class Opening:
    """Which model and data to open, and what a checkpoint doesn't say of itself."""

    model: str = setting("bundled:digits-resnet20", "bundled:NAME, imported:NAME, run:ID or a path")
    data: str = setting("digits", f"Data set: {forms()}")
    arch: str = setting("", "Architecture, where the checkpoint doesn't tell")
    normalize: str = setting(
        "auto", "auto, none, cifar10, cifar100, imagenet, half, cifar10_by_image or MEAN/STD"
    )
    part: str = setting("", "Which model of a checkpoint that holds several")
    class_order: str = setting("", "Classes in the order of a bare checkpoint's outputs, with commas between")
    keep_zeros: bool = setting(
        False,
        "Weights of a bare checkpoint that are exactly zero are a sparse model's, and stay so",
    )
    size: int = setting(
        0,
        "Side of the images in pixels; 0 takes what the model's card says, or the data set's own",
        low=0,
        high=1024,
    )
    device: str = setting("auto", "auto, cuda, mps or cpu")


@dataclass(frozen=True)
class TrainRequest:
    """Training from scratch."""

    data: str = setting("digits", f"Data set: {forms()}")
    arch: str = setting("cifar_resnet20_b", "Architecture")
    width: float = setting(1.0, "Width multiplier of the CIFAR nets", low=0.0625, high=8)
    name: str = setting("model", "Name on the model's card")
    normalize: str = setting("auto", "auto measures the data set's own; or a name, or MEAN/STD")
    init: str = setting(
        "", "Model to start from instead of random weights; gives architecture and normalisation"
    )
    seed: int = setting(0, "Of initialisation, order and augmentation", low=0)
    device: str = setting("auto", "auto, cuda, mps or cpu")


@dataclass(frozen=True)
class ScoreRequest(Opening):
    """Scoring the channels of a model."""

    tap: str = setting("bn_relu", "Where activations are read: bn_relu or conv_relu")
    per_class: int = setting(0, "Training images of each class; 0 takes all", low=0)


@dataclass(frozen=True)
class UnlearnRequest(Opening):
    """Making a model forget."""

    forget: str = setting("", "Classes to forget, by name or index, with commas between")
    fraction: float = setting(
        0.0, "Instead of classes: random share of the training images", low=0.0, high=0.99
    )
    method: str = setting("tfidf_prune", "Unlearning method")
    controls: str = setting(
        "", "Controls to run beside it, with commas between; none for none, the usual ones if not given"
    )
    share_seed: int = setting(
        0, "Of the draw of a random share; runs of several seeds forget the same images", low=0
    )
    seed: int = setting(0, "Of every other random draw", low=0)
    group: str = setting("", "Name that runs of one set share, as over several seeds")
    variants: int = setting(1, "How many combinations of settings are tried in that set", low=1)


@dataclass(frozen=True)
class SparsifyRequest(Opening):
    """Making a model sparse."""

    sparsifier: str = setting("omp", "How the weights that go are chosen")
    strict: bool = setting(
        False, "Choose them by the retain set alone: a mask made with the forget set remembers it"
    )
    forget: str = setting("", "With strict: classes to forget, by name or index, with commas between")
    fraction: float = setting(
        0.0, "With strict, instead of classes: random share of the training images", low=0.0, high=0.99
    )
    share_seed: int = setting(
        0, "Of the draw of a random share; runs of several seeds forget the same images", low=0
    )
    seed: int = setting(0, "Of every other random draw", low=0)
