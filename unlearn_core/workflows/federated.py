"""Training, unlearning or retraining with images that never leave their clients."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats, load_stats
from unlearn_core.channels.scoring import LEAST_IMAGES
from unlearn_core.channels.surgery import channel_groups
from unlearn_core.checkpoints.model_files import LoadedModel, digest_of, fresh_model, open_model
from unlearn_core.checkpoints.normalizing import own_normalization
from unlearn_core.data.classes import align_classes, class_index
from unlearn_core.data.forgotten import forgotten_by, to_facts
from unlearn_core.data.leaving_out import leave_out, marks
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import ForgetSplit
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.agreement import MOST_BYTES, Planner, client_parts, compared
from unlearn_core.federated.client import example_for
from unlearn_core.federated.client_stats import BY_CLIENT, REPORTED, load_client_stats
from unlearn_core.federated.engine import require_flower, run_engine
from unlearn_core.federated.job import Job, split_of, write_job
from unlearn_core.federated.outcome import read_outcome
from unlearn_core.federated.partition import Positions, draw, holdings, parse_partition
from unlearn_core.federated.privacy import Privacy
from unlearn_core.federated.request import PARAMS, FederatedRequest
from unlearn_core.intervals import Tally
from unlearn_core.models.inference import choose_device
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.size import measure
from unlearn_core.models.specs import ModelCard, ModelSpec, parse_normalization
from unlearn_core.params import build, plain
from unlearn_core.progress import Report
from unlearn_core.results import evaluation
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.exchanges import Agreement, Exchange, Federation, Member, Protection
from unlearn_core.results.result import FederatedResult, ForgetSet, Size, Sizes, pruned_rung, rung_of
from unlearn_core.unlearning.provenance import how_chosen
from unlearn_core.unlearning.registry import find_method
from unlearn_core.workflows.answers import (
    answers_of,
    evaluated,
    keep_inside,
    keep_membership,
    keep_predictions,
)
from unlearn_core.workflows.ends import conditions, images_of, inputs_of, names_in
from unlearn_core.workflows.unlearn import still_forgotten

USUAL_K = 50
"""Fewest images of a class that a client reports: membership was inferred with AUC 0.62 at 50, and 0.96 at two."""


_UNCOUNTED = (
    "Too few clients answered the last question, how many of their training images the model classifies rightly; so there "
    "are no accuracies on training images."
)

_MEASURED_HERE = (
    "The membership attacks were measured on this machine, which dealt the images to its clients. The server of a real "
    "federation has no training image to attack."
)


def federated(request: Mapping[str, Any], folder: Path, report: Report) -> FederatedResult:
    """Runs the federation; writes `model.safetensors`, and for unlearning the plan and the statistics."""
    asked = build(FederatedRequest, request["settings"])
    params = build(PARAMS[asked.action], request.get("params", {}))
    if params.freeze_bn and (asked.action == "retrain" or not asked.model):
        raise UnlearnError(
            "A new network has no batch-norm statistics to keep; turn freeze_bn off to train from scratch."
        )
    require_flower()
    dataset, loaded, original = _start(asked, report)
    forget = _forgotten(asked, dataset)
    labels, forgotten = dataset.train.labels.numpy(), forgotten_by(loaded.card.facts)
    split = split_of(leave_out(dataset, forgotten), forget)
    gone = marks(dataset.train, forgotten, dataset.classes).numpy()
    drawn = draw(labels, asked.clients, parse_partition(asked.partition), seed=asked.seed)
    parts = tuple(part[~gone[part]] for part in drawn)
    held = holdings(labels, parts, len(dataset.classes))
    scored = np.delete(held, forgotten.indices(dataset.classes), axis=1)
    privacy, notes = _privacy(asked, scored, getattr(params, "images_per_class", 0))
    job = Job(asked, params, plain(privacy), forget)
    write_job(folder, job, loaded.model, loaded.card, loaded.plan)
    run_engine(asked.engine, folder, asked.clients, asked.seed, report, asked.superlink)
    outcome = read_outcome(folder)
    final = open_model(folder / "model.safetensors", device=choose_device(asked.device))
    # Where the images were dealt here, a result is measured like any other; over a superlink nobody but the clients can.
    here = bool(forget) and not asked.superlink
    if here:
        before, after = (
            _measured(model, split, folder, when, report)
            for model, when in ((original, "before"), (final, "after"))
        )
    else:
        before = _tested(original, split, folder, "before")
        after = _tested(final, split, folder, "after", outcome.tallies)
    start = rung_of(before, "original", seconds=0.0, sent=0)
    return FederatedResult(
        action=asked.action,
        method=method_of(asked.action, params),
        params=plain(params),
        chosen=_chosen(asked, params),
        forget=ForgetSet(classes=tuple(dataset.classes[k] for k in forget), digest=split.digest),
        images=images_of(split),
        seconds=outcome.seconds,
        before=before,
        pruned=pruned_rung(outcome.ladder),
        after=after,
        ladder=(start, *outcome.ladder) if asked.action == "unlearn" else outcome.ladder,
        plan=outcome.plan,
        facts={"channels_pruned": final.plan.total if final.plan else 0},
        size=Sizes(before=_size(original, split), after=_size(final, split)),
        federation=Federation(
            clients=asked.clients,
            partition=str(parse_partition(asked.partition)),
            settings=_settings(asked),
            engine=asked.engine,
            holdings=tuple(map(tuple, held.tolist())),
            image_bytes=_image_bytes(held, outcome.members, dataset.train.images[0].numel()),
            privacy=Protection(**asdict(privacy)),
            agreement=_agreement(job, dataset, loaded, parts, folder, report),
            members=outcome.members,
            events=outcome.events,
            exchanges=outcome.exchanges,
            **_traffic(outcome.exchanges),
        ),
        notes=(
            *loaded.notes,
            *dataset.notes,
            *([forgotten.sentence()] if forgotten.sentence() else []),
            *still_forgotten(before, after),
            *notes,
            *_own(outcome.members),
            *([_MEASURED_HERE] if here else [] if outcome.tallies else [_UNCOUNTED]),
            *(outcome.plan.notes if outcome.plan else ()),
        ),
        inputs=inputs_of(dataset, original),
        **conditions(choose_device(asked.device), params.precision),
    )


_OF_THE_COURSE = (
    "rounds", "local_epochs", "participation", "aggregator", "weighting", "dropout", "k", "epsilon", "clip", "secure",
)  # fmt: skip


def _settings(asked: FederatedRequest) -> dict[str, Any]:
    """What of the request shapes the result: runs that differ in it are not two seeds of one."""
    told = {name: getattr(asked, name) for name in ("clients", *_OF_THE_COURSE)}
    return {**told, "partition": str(parse_partition(asked.partition))}


def method_of(action: str, params: Recipe) -> str:
    """What an action is called beside centralised results."""
    if action == "unlearn":
        return "random_prune" if getattr(params, "direction", "") == "random" else "tfidf_prune"
    return action


def _chosen(asked: FederatedRequest, params: Recipe) -> str:
    """How the settings came about: those of the clients, and of the course but for its length, which suits the action."""
    course = [name for name in _OF_THE_COURSE if name != "rounds"]
    values = {**plain(params), **{name: getattr(asked, name) for name in course}}
    usual = {
        **plain(build(PARAMS[asked.action], {})),
        **{name: getattr(FederatedRequest(), name) for name in course},
    }
    method = method_of(asked.action, params)
    if method == "random_prune":  # the direction is what makes it one, not a choice beyond that
        usual["direction"] = values["direction"]
    # Nobody published a federated recipe in full: a new model's is ours, as retraining's is.
    published = find_method("retrain" if method == "train" else method).published
    return how_chosen(published, values, usual, tuned=False)


def _start(asked: FederatedRequest, report: Report) -> tuple[Dataset, LoadedModel, LoadedModel]:
    """The data set in the model's order of classes, the model of the first round, and the one to compare with."""
    dataset = open_dataset(parse_dataset(asked.data), report)
    if not asked.model:
        if asked.action == "unlearn":
            raise UnlearnError("There is no model to unlearn from; give --model, or train one first.")
        fresh = _fresh(_new_card(asked, dataset), asked.seed)
        return dataset, fresh, fresh
    loaded = open_model(asked.model, dataset, normalize=asked.normalize, device=choose_device(asked.device))
    dataset = align_classes(dataset, loaded.card.classes)
    if asked.action == "retrain":
        facts = to_facts(forgotten_by(loaded.card.facts))
        return dataset, _fresh(replace(loaded.card, facts=facts), asked.seed), loaded
    return dataset, loaded, loaded


def _fresh(card: ModelCard, seed: int) -> LoadedModel:
    model = fresh_model(card, seed).eval()
    return LoadedModel(model, card, None, digest_of(model.net.state_dict()))


def _new_card(asked: FederatedRequest, dataset: Dataset) -> ModelCard:
    spec = ModelSpec(asked.arch, len(dataset.classes), width=asked.width)
    normalization = parse_normalization(asked.normalize) or own_normalization(dataset.train.images)
    size = int(dataset.train.images.shape[-1])
    return ModelCard("federated", spec, dataset.classes, normalization, size, dataset.spec.name, {})


def _forgotten(asked: FederatedRequest, dataset: Dataset) -> tuple[int, ...]:
    """Indices of the classes to forget, ascending."""
    forget = tuple(sorted({class_index(dataset.classes, name) for name in names_in(asked.forget)}))
    if not forget and asked.action != "train":
        raise UnlearnError(
            f"No class to {'forget' if asked.action == 'unlearn' else 'leave out'} was given; "
            f"the classes are: {', '.join(dataset.classes)}."
        )
    return forget


def _privacy(asked: FederatedRequest, held: NDArray[np.int64], per_class: int) -> tuple[Privacy, list[str]]:
    """What clients do before they report, and what the person should know of it.

    Args:
        asked: The request.
        held: Images of each class at each client, (clients, K).
        per_class: Images of each class that a client scores; 0 takes all. It can't report more.
    """
    usual = min(USUAL_K, per_class or USUAL_K)
    privacy = Privacy(asked.k or usual, asked.epsilon, asked.delta, asked.clip)
    if asked.action != "unlearn":
        return privacy, []
    notes = []
    if not asked.k and usual < USUAL_K:
        notes.append(
            f"Each client scores {per_class} images of a class, so the floor is {usual}, not the usual {USUAL_K}."
        )
    if asked.superlink:  # of what classes the clients' own images are, nobody knows here: the floor stands
        return privacy, [*notes, *_noise_notes(asked)]
    held = np.minimum(held, per_class) if per_class else held
    enough = (np.where(held >= privacy.k, held, 0).sum(axis=0) >= LEAST_IMAGES).all()
    if not asked.k and not enough:
        privacy = replace(privacy, k=1)
        smallest = int(held[held > 0].min())
        notes.append(
            f"Clients hold too few images for a floor of {usual} a class, so each class is reported, "
            f"down to {smallest} image{'' if smallest == 1 else 's'}: such means give single images away."
        )
    hidden = int(held[held < privacy.k].sum())
    if hidden:
        notes.append(
            f"Classes with fewer than {privacy.k} images at a client stay unreported: {hidden:,} of {held.sum():,} "
            "images play no part in the scores."
        )
    return privacy, [*notes, *_noise_notes(asked)]


def _noise_notes(asked: FederatedRequest) -> list[str]:
    if not asked.epsilon:
        return []
    return [
        f"Each report of statistics is ({asked.epsilon:g}, {asked.delta:g})-differentially private for one image."
    ]


def _agreement(
    job: Job,
    dataset: Dataset,
    loaded: LoadedModel,
    dealt: tuple[Positions, ...],
    folder: Path,
    report: Report,
) -> Agreement | None:
    """The plan beside those of other ways to add and to protect; None without a plan, or for too many clients."""
    if method_of(job.request.action, job.params) != "tfidf_prune" or job.request.superlink:
        return None  # no scores chose the channels, or there is nothing to compare with: the images are not seen here
    example = example_for(loaded.model, dataset.test.images)
    groups = channel_groups(loaded.model.net, example, job.params.residual)
    channels = sum(g.size * len(g.layers) for g in groups)
    if len(dealt) * len(dataset.classes) * channels * 8 > MOST_BYTES:
        return None
    privacy = build(Privacy, job.privacy)
    tap, per_class = job.params.tap, job.params.images_per_class

    def read(clip: float) -> list[ActivationStats]:
        return client_parts(
            loaded.model,
            dataset.train,
            dealt,
            dataset.classes,
            tap=tap,
            per_class=per_class,
            clip=clip,
            report=report,
        )

    reported = (
        [load_stats(folder / REPORTED)]  # of which only the sum is known
        if job.request.secure
        else list(load_client_stats(folder / BY_CLIENT, dataset.classes, tap).values())
    )
    planner = Planner(groups, job.params, job.request.seed)
    return compared(
        reported,
        job.request.weighting,
        read(0.0),
        read(privacy.clip),
        planner,
        job.forget,
        privacy,
        LEAST_IMAGES,
    )


def _image_bytes(held: NDArray[np.int64], members: Sequence[Member], size: int) -> tuple[int, ...]:
    """Bytes of each client's images: as dealt, or as it registered where it holds images of its own."""
    images = held.sum(axis=1)
    for member in members:
        if member.own_data:
            images[member.client] = member.images
    return tuple(int(count) * size for count in images)


def _own(members: Sequence[Member]) -> list[str]:
    """What to know of clients whose images nobody dealt."""
    own = [str(member.client) for member in members if member.own_data]
    if not own:
        return []
    return [
        f"Clients with images of their own: {', '.join(own)}. Of what classes these are, only they know. A "
        "client that says it has more than ten times the median's images counts for ten "
        "times as many."
    ]


def _measured(loaded: LoadedModel, split: ForgetSplit, folder: Path, when: str, report: Report) -> Evaluation:
    """The model on every image, with membership attacks; keeps what the pages look at."""
    answers = answers_of(loaded.model, split, report)
    keep_inside(folder, when, loaded.model, split, answers, report)
    keep_membership(folder / f"membership_{when}.npz", answers)
    return evaluated(answers, split, report)


def _tested(
    loaded: LoadedModel,
    split: ForgetSplit,
    folder: Path,
    when: str,
    tallies: tuple[Tally, Tally] | None = None,
) -> Evaluation:
    """The model on the server's test images; keeps the predictions image by image."""
    tested = evaluation.test_predictions(loaded.model, split)
    keep_predictions(folder, when, tested)
    forget, retain = tallies or (None, None)
    return evaluation.tabulate(split, tested, forget, retain)


def _size(loaded: LoadedModel, split: ForgetSplit) -> Size:
    weights = sum(t.numel() * t.element_size() for t in loaded.model.net.state_dict().values())
    return Size(**asdict(measure(loaded.model, split.test.images[:64])), bytes=weights)


def _traffic(exchanges: Sequence[Exchange]) -> dict[str, int]:
    """Bytes of content over the whole run, and of the client that had most."""
    by_client: dict[str, int] = {}
    for exchange in exchanges:
        for way in (exchange.bytes_down, exchange.bytes_up):
            for client, count in way.items():
                by_client[client] = by_client.get(client, 0) + count
    down = sum(sum(e.bytes_down.values()) for e in exchanges)
    up = sum(sum(e.bytes_up.values()) for e in exchanges)
    return {"bytes_down": down, "bytes_up": up, "most_bytes_of_a_client": max(by_client.values(), default=0)}
