"""What a run gives, as frozen types: one a kind, made of the parts that several share.

The fields are the keys of the stored JSON; `loading` reads it, `plain` writes it. Shares lie in [0, 1].
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.results.closeness import Closeness, ToRetrain
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.exchanges import Federation
from unlearn_core.results.plain import left_out

Settings = Mapping[str, Any]
"""Settings and facts by name: what they are, their owner knows."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """On what a run computed.

    Attributes:
        device: `cpu`, `mps` or `cuda:0`.
        device_name: What it is called.
        precision: Of the arithmetic.
        threads: Of the processor.
        cores: Of the processor.
    """

    device: str = ""
    device_name: str = ""
    precision: str = ""
    threads: int | None = None
    cores: int | None = None


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Which model and data a result is of, by name and by hash.

    Attributes:
        data: The data set.
        data_digest: Hash of its images.
        model: Name on the model's card.
        model_digest: Hash of its weights.
        arch: Its architecture.
        normalization: Name, mean and standard deviation of what its pixels are normalised by.
        normalization_tried: Accuracy under each that was tried.
    """

    data: str = ""
    data_digest: str = ""
    model: str = ""
    model_digest: str = ""
    arch: str = ""
    normalization: Settings = field(default_factory=dict)
    normalization_tried: Settings = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ForgetSet:
    """What is forgotten.

    Attributes:
        classes: Their names; none for a random share.
        fraction: The random share of the training images; 0 for classes.
        digest: Hash of the images.
        indices: The run's file with their places in the training part; None where there is none.
    """

    classes: tuple[str, ...] = ()
    fraction: float = 0.0
    digest: str = ""
    indices: str | None = left_out()


@dataclass(frozen=True, kw_only=True)
class Images:
    """How many images there are to keep and to forget, for training and for testing."""

    retain: int = 0
    forget: int = 0
    test: int = 0
    test_forget: int = 0


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large and how fast a model is.

    Attributes:
        parameters: How many numbers it has.
        macs: Multiplications with an addition, for one image.
        milliseconds: For one batch.
        batch: Its images.
        device: Where that was measured.
        bytes: Of its file; None where it has none.
    """

    parameters: int | None = None
    macs: int | None = None
    milliseconds: float | None = None
    batch: int | None = None
    device: str = ""
    bytes: int | None = left_out()


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """A model's size before and after."""

    before: Size = Size()
    after: Size = Size()


@dataclass(frozen=True, kw_only=True)
class Rung:
    """Test accuracy at one step of the ladder from the original model to the result.

    Attributes:
        rung: What the step is called: `original`, `pruned`, `epoch 1`, `round 1`.
        forget_test_accuracy: On the classes to forget; None where there are none.
        retain_test_accuracy: On all others.
        test_accuracy: On all.
        per_class: On each, (K,).
        forget_train_accuracy: Of a random share, on the training images that it is made of.
        seconds: Of work until then; None where nobody measured.
        bytes: That had passed until then, in a federated run.
    """

    rung: str
    forget_test_accuracy: float | None = None
    retain_test_accuracy: float | None = None
    test_accuracy: float | None = None
    per_class: tuple[float | None, ...] = ()
    forget_train_accuracy: float | None = left_out()
    seconds: float | None = left_out()
    bytes: int | None = left_out()


def rung_of(
    evaluation: Evaluation, name: str, *, seconds: float | None = None, sent: int | None = None
) -> Rung:
    """An evaluation as a step of the ladder.

    Args:
        evaluation: Of the model there.
        name: What the step is called.
        seconds: Of work until then.
        sent: Bytes that had passed until then.
    """
    return Rung(
        rung=name,
        forget_test_accuracy=evaluation.forget_test_accuracy,
        retain_test_accuracy=evaluation.retain_test_accuracy,
        test_accuracy=evaluation.test_accuracy,
        per_class=evaluation.per_class,
        forget_train_accuracy=evaluation.forget_tally.share if evaluation.is_share else None,
        seconds=seconds,
        bytes=sent,
    )


def pruned_rung(ladder: Iterable[Rung]) -> Rung | None:
    """The step after pruning, before any training; None where nothing was pruned."""
    return next((rung for rung in ladder if rung.rung == "pruned"), None)


@dataclass(frozen=True, kw_only=True)
class MeasuredModel:
    """A model and what was measured of it.

    Attributes:
        evaluation: What it still knows.
        size: How large it is; without numbers where nobody measured.
        closeness: How near its answers are to the retrained model's; None where that wasn't at hand.
    """

    evaluation: Evaluation
    size: Size = Size()
    closeness: Closeness | None = None


@dataclass(frozen=True, kw_only=True)
class Part(MeasuredModel):
    """What a method made of the untouched model.

    Attributes:
        seconds: Of the method's own work.
        ladder: Its steps.
        plan: The channels that went; None where none did.
        facts: What the method noted.
        params: Its settings.
        sparsity: Share of the convolutions' weights that are 0, of a sparse model; None for a dense one.
        forgot: In the stored references, the forgotten classes' names.
        stored: Whether it is a reference that came with the app.
    """

    seconds: float | None = None
    ladder: tuple[Rung, ...] = ()
    plan: PruningPlan | None = None
    facts: Settings = field(default_factory=dict)
    params: Settings = field(default_factory=dict)
    sparsity: float | None = None
    forgot: tuple[str, ...] = left_out(())
    stored: bool = left_out(False)


@dataclass(frozen=True, kw_only=True)
class Control(Part):
    """What a result stands beside.

    Attributes:
        to_retrain: How far it lies from retraining; None where that is unknown.
        chosen: How its settings were chosen, a key of `provenance.CHOSEN`; empty where it has none.
    """

    to_retrain: ToRetrain | None = None
    chosen: str = ""


@dataclass(frozen=True, kw_only=True)
class Forgetting(Conditions):
    """What unlearning on one machine and over a federation have in common.

    Attributes:
        method: Name in the registry of methods.
        params: Its settings.
        chosen: How they were chosen, a key of `provenance.CHOSEN`.
        forget: What is forgotten.
        images: How many images there are.
        seconds: Of the method's own work.
        before: The model that it began with.
        pruned: The step after pruning, before any training; None where nothing was pruned.
        after: The model that it ended with.
        ladder: From the original model, step by step.
        controls: What the result stands beside, by name.
        to_retrain: How far the result lies from retraining; None where that is unknown.
        before_to_retrain: The same of the model that it began with.
        sparsity: Share of the convolutions' weights that are 0, of a sparse model; None for a dense one.
        plan: The channels that went; None where none did.
        facts: What the method noted.
        size: Before and after.
        notes: What the person should know, a sentence each.
        inputs: Which model and data.
    """

    method: str
    params: Settings = field(default_factory=dict)
    chosen: str = ""
    forget: ForgetSet = ForgetSet()
    images: Images = Images()
    seconds: float | None = None
    before: Evaluation
    pruned: Rung | None = None
    after: Evaluation
    ladder: tuple[Rung, ...] = ()
    controls: Mapping[str, Control] = field(default_factory=dict)
    to_retrain: ToRetrain | None = left_out()
    before_to_retrain: ToRetrain | None = left_out()
    sparsity: float | None = left_out()
    plan: PruningPlan | None = None
    facts: Settings = field(default_factory=dict)
    size: Sizes = Sizes()
    notes: tuple[str, ...] = ()
    inputs: Inputs = Inputs()


@dataclass(frozen=True, kw_only=True)
class UnlearnResult(Forgetting):
    """What unlearning on one machine gives; its retraining stands among the controls."""

    kind: Literal["unlearn"] = "unlearn"
    to_retrain: ToRetrain | None = None
    before_to_retrain: ToRetrain | None = None
    sparsity: float | None = None


@dataclass(frozen=True, kw_only=True)
class FederatedResult(Forgetting):
    """What training, unlearning or retraining gives with images that never leave their clients.

    Attributes:
        action: train, unlearn or retrain.
        federation: Who took part and what passed.
    """

    kind: Literal["federated"] = "federated"
    action: str
    federation: Federation


@dataclass(frozen=True, kw_only=True)
class LayerSparsity:
    """How many of a convolution's weights stay."""

    weights: int
    kept: int
    sparsity: float


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Weights that two masks both keep over those that either keeps (`iou`), and what random masks would share."""

    iou: float
    chance: float


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """The images that a strict mask was chosen without: their classes (none for a random share), count and hash."""

    classes: tuple[str, ...] = ()
    images: int = 0
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class SparsifyResult(Conditions):
    """What making a model sparse gives.

    Attributes:
        sparsifier: Name in the registry.
        params: Its settings.
        chosen: How they were chosen, a key of `provenance.CHOSEN`.
        asked: The sparsity that was asked for.
        sparsity: Share of the convolutions' weights that went.
        layers: The same by convolution.
        strict: Whether the mask was chosen without the forget set.
        forget: That forget set; None for a mask that saw all images.
        overlap: Of the masks with and without it; None for a mask that saw all images.
        before: The dense model.
        after: The sparse one, trained.
        ladder: After each epoch.
        mask_seconds: Until the mask was found.
        training_seconds: Of training under it.
        seconds: Both.
        facts: What the sparsifier noted.
        notes: What the person should know, a sentence each.
        inputs: Which model and data.
        elapsed: Of the whole run, in seconds.
    """

    kind: Literal["sparsify"] = "sparsify"
    sparsifier: str
    params: Settings = field(default_factory=dict)
    chosen: str = ""
    asked: float | None = None
    sparsity: float
    layers: Mapping[str, LayerSparsity] = field(default_factory=dict)
    strict: bool = False
    forget: Withheld | None = None
    overlap: Overlap | None = None
    before: Evaluation
    after: Evaluation
    ladder: tuple[Rung, ...] = ()
    mask_seconds: float | None = None
    training_seconds: float | None = None
    seconds: float
    facts: Settings = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    inputs: Inputs = Inputs()
    elapsed: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What training gives.

    Attributes:
        after: The model that it ended with.
        ladder: After each epoch.
        facts: What the model's card says.
        seconds: Of the whole run.
    """

    kind: Literal["train"] = "train"
    after: Evaluation
    ladder: tuple[Rung, ...] = ()
    facts: Settings = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreResult(Conditions):
    """What scoring channels gives, beside its files.

    Attributes:
        layers: How many channels each convolution has.
        counts: Images of each class, (K,).
        classes: The class names, (K,).
        notes: What the person should know, a sentence each.
        seconds: Of the whole run.
        inputs: Which model and data.
    """

    kind: Literal["score"] = "score"
    layers: Mapping[str, int] = field(default_factory=dict)
    counts: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    inputs: Inputs = Inputs()


Result = UnlearnResult | FederatedResult | SparsifyResult | TrainResult | ScoreResult

RESULTS: Mapping[str, type[Result]] = {
    cls.kind: cls for cls in (UnlearnResult, FederatedResult, SparsifyResult, TrainResult, ScoreResult)
}
"""The type of each kind of run."""
