"""What a person asks of a federated run."""

from dataclasses import dataclass

from unlearn_core.data.sources import forms
from unlearn_core.federated.aggregation import AGGREGATORS, STATS_WEIGHTINGS
from unlearn_core.federated.rules import Rules
from unlearn_core.models.recipe import Recipe
from unlearn_core.params import Setting, setting, settings_of
from unlearn_core.unlearning.methods.retrain import RetrainParams
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams

ACTIONS = ("train", "unlearn", "retrain")
ENGINES = ("local", "flower")


@dataclass(frozen=True)
class FederatedTrainParams(RetrainParams):
    """A recipe for clients that train from scratch: small batches, because a client has few images."""

    batch_size: int = setting(32, "Images in a step", low=1, high=4096)
    # Training may begin with a model, which has statistics to keep.
    freeze_bn: bool = setting(False, hidden=False)


@dataclass(frozen=True)
class FederatedPruneParams(TfidfPruneParams):
    """What to prune, and a recipe for clients that fine-tune."""

    # Chosen on digits, both families, ten clients: with a fifth of the channels, as on one machine, the class comes back in
    # the rounds of the ResNet (benchmarks/federated_defaults.py).
    ratio: float = setting(
        0.3, "Share of channels to prune, of each layer or of all together", low=0.0, high=0.95
    )
    lr: float = setting(0.05, "Learning rate at the start of the schedule", low=0.0, high=10.0)
    batch_size: int = setting(32, "Images in a step", low=1, high=4096)
    images_per_class: int = setting(
        0, "Images of each class that a client scores; 0 takes all", low=0, high=1_000_000
    )


PARAMS: dict[str, type[Recipe]] = {
    "train": FederatedTrainParams,
    "unlearn": FederatedPruneParams,
    "retrain": FederatedTrainParams,
}
"""The settings of each action; some of them play no part: `client_settings` has those that do."""

_UNUSED = {
    "train": {"epochs"},
    "unlearn": {"epochs", "tune_images"},
    "retrain": {"epochs", "freeze_bn"},
}


def client_settings(action: str) -> tuple[Setting, ...]:
    """What can be set of an action's clients.

    `local_epochs` and `rounds` stand for `epochs`, a client tunes on all its images, and a new network has no batch-norm
    statistics to keep.
    """
    return tuple(s for s in settings_of(PARAMS[action]) if s.name not in _UNUSED[action])


@dataclass(frozen=True)
class FederatedRequest:
    """Training, unlearning or retraining with images that never leave their clients."""

    action: str = setting("unlearn", "What to do", choices=ACTIONS)
    data: str = setting("digits", f"Data set: {forms()}")
    model: str = setting("", "bundled:NAME, imported:NAME, run:ID or a path; not needed to train")
    forget: str = setting("", "Classes to forget, by name or index, with commas between")
    arch: str = setting("cifar_resnet20_b", "Architecture, where a model is trained without --model")
    width: float = setting(
        1.0, "Width multiplier of the CIFAR nets, where there is no --model", low=0.0625, high=8
    )
    normalize: str = setting("auto", "auto, none, cifar10, cifar100, imagenet or MEAN/STD")
    clients: int = setting(10, "Clients", low=1, high=10_000)
    partition: str = setting("iid", "How images are dealt: iid, dirichlet:A, shards:S or biased:P")
    rounds: int = setting(5, "Rounds of local training", low=0, high=10_000)
    local_epochs: int = setting(1, "Passes of a client over its own images in a round", low=1, high=1000)
    participation: float = setting(
        1.0, "Share of the clients that train in a round", label="Share of clients a round", low=0.0, high=1.0
    )
    aggregator: str = setting(
        "fedavg",
        "fedavg, or trimmed_mean against clients that lie: every client alike, and below five the plain mean",
        label="Averaging of weights",
        choices=tuple(AGGREGATORS),
    )
    weighting: str = setting(
        "counts",
        "By images held, or plain: every client alike, as in the paper; trained weights count alike under trimmed_mean",
        label="Clients count",
        choices=tuple(STATS_WEIGHTINGS),
    )
    dropout: float = setting(
        0.0,
        "Chance that a client doesn't answer, for trying it out",
        label="Chance to drop out",
        low=0.0,
        high=1.0,
    )
    quorum: float = setting(0.5, "Share of those asked who must answer", low=0.0, high=1.0)
    deadline: float = setting(
        600.0,
        "Seconds that an exchange between processes may take; in one process nobody is waited for",
        label="Deadline, seconds",
        low=0.1,
        high=86_400,
    )
    norm_bound: float = setting(
        10.0,
        "Answers this many times larger than the median are rejected",
        label="Reject beyond, times the median",
        low=1.0,
        high=1e6,
    )
    k: int = setting(
        0,
        "Classes with fewer images at a client stay unreported; 0 takes 50 where that leaves enough",
        label="Floor k",
        low=0,
    )
    epsilon: float = setting(
        0.0, "Differential privacy of one image in the statistics; 0 adds no noise", low=0.0, high=1e6
    )
    delta: float = setting(1e-5, "The delta that goes with epsilon", low=1e-12, high=0.5)
    clip: float = setting(
        0.5, "With epsilon: largest root mean square of an image's activations in a layer", low=1e-6, high=1e6
    )
    secure: bool = setting(
        False,
        "Add up statistics under masks (SecAgg+): the server sees their sum alone, and can check no client's",
    )
    engine: str = setting("local", "local: in this process; flower: real processes", choices=ENGINES)
    superlink: str = setting(
        "",
        "With flower: a connection in Flower's config.toml, whose SuperNodes are the clients; empty starts all",
    )
    seed: int = setting(0, "Of every random draw", low=0)
    device: str = setting("auto", "auto, cuda, mps or cpu")


def rules_of(request: FederatedRequest) -> Rules:
    """What the server holds its clients to."""
    return Rules(
        request.clients,
        request.participation,
        request.quorum,
        request.deadline,
        request.aggregator,
        request.weighting,
        request.norm_bound,
        request.seed,
        own_data=bool(request.superlink),
    )
