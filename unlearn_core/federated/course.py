"""The course of a federated run at the server: statistics, plan, rounds, and a test after each; whatever the transport."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats, save_stats, tap_points
from unlearn_core.channels.pruning import PruningPlan, plan_from_plain, plan_to_plain
from unlearn_core.channels.surgery import remove
from unlearn_core.checkpoints.model_files import (
    LoadedModel,
    digest_of,
    measured_facts,
    open_model,
    save_model,
)
from unlearn_core.data.classes import align_classes
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import ForgetSpec, ForgetSplit, everything, split_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.client import example_for
from unlearn_core.federated.journal import Journal
from unlearn_core.federated.messages import (
    Arrays,
    Question,
    Transport,
    fingerprint,
    load_state,
    state_of,
    stats_to_arrays,
)
from unlearn_core.federated.partition import draw, parse_partition
from unlearn_core.federated.privacy import Privacy
from unlearn_core.federated.request import PARAMS, FederatedRequest, rules_of
from unlearn_core.federated.sealed import Sealed, forget_sealed, seal, unseal
from unlearn_core.federated.secure_stats import LEAST_CLIENTS, secure_stats
from unlearn_core.federated.server import Server
from unlearn_core.federated.validate import Schema, schema_of
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import choose_device, evaluating
from unlearn_core.models.specs import ModelCard, card_to_plain
from unlearn_core.models.training import Recipe
from unlearn_core.params import build, plain
from unlearn_core.progress import Progress, Report
from unlearn_core.results import evaluation
from unlearn_core.store.files import write_json, write_npz
from unlearn_core.unlearning.tfidf_prune import plan_by

JOB, START, OUTCOME = "job.json", "start.safetensors", "federation.json"
"""Files of a run's folder: what was asked, the model to begin with, and what came of it."""


@dataclass(frozen=True)
class Job:
    """What a run is to do; the server of a deployment reads it from the run's folder.

    Attributes:
        asked: The request.
        params: Recipe, and what to prune.
        privacy: What a client does before it reports: `k` is decided.
        forget: Indices of the classes to forget, in the model's order.
    """

    asked: FederatedRequest
    params: Any
    privacy: Mapping[str, Any]
    forget: tuple[int, ...]


def write_job(folder: Path, job: Job, model: Classifier, card: ModelCard) -> None:
    """Puts into the folder all that `conduct` needs."""
    save_model(folder / START, model, card)
    write_json(
        folder / JOB,
        {
            "asked": plain(job.asked),
            "params": plain(job.params),
            "privacy": dict(job.privacy),
            "forget": job.forget,
            "classes": card.classes,
        },
    )


def read_job(folder: Path) -> Job:
    """The job that `write_job` put there."""
    told = json.loads((folder / JOB).read_text())
    asked = build(FederatedRequest, told["asked"])
    params = build(PARAMS[asked.action], told["params"])
    return Job(asked, params, told["privacy"], tuple(told["forget"]))


REPORTED = "stats_reported.npz"
"""The statistics that the clients gave, as one: what the plan was made of."""


def split_of(dataset: Dataset, forget: tuple[int, ...]) -> ForgetSplit:
    """The data cut by the classes to forget; all of it is kept where there are none."""
    if forget:
        return split_dataset(dataset, ForgetSpec(tuple(dataset.classes[k] for k in forget)))
    return everything(dataset)


def conduct(folder: Path, transport: Transport, report: Report) -> None:
    """Leads the clients through the job in the folder, and leaves model, plan, statistics and a record of it there.

    Raises:
        UnlearnError: Too few clients took part, or the job can't be done with this model and data.
    """
    job = read_job(folder)
    loaded = open_model(folder / START)
    dataset = align_classes(open_dataset(parse_dataset(job.asked.data), report), loaded.card.classes)
    split = split_of(dataset, job.forget)
    _Course(folder, job, loaded, split, transport, report, _dealt(job, dataset)).run()


def _dealt(job: Job, dataset: Dataset) -> list[tuple[int, int]]:
    """Images of each client's part, and those of them that it trains on."""
    labels, asked = dataset.train.labels.numpy(), job.asked
    parts = draw(labels, asked.clients, parse_partition(asked.partition), seed=asked.seed)
    return [(len(part), int((~np.isin(labels[part], job.forget)).sum())) for part in parts]


class _Course:
    """One run at the server, step by step."""

    def __init__(
        self,
        folder: Path,
        job: Job,
        loaded: LoadedModel,
        split: ForgetSplit,
        transport: Transport,
        report: Report,
        dealt: Sequence[tuple[int, int]],
    ) -> None:
        self.folder, self.job, self.loaded, self.split, self.report = folder, job, loaded, split, report
        self.server = Server(transport, rules_of(job.asked), report, dealt)
        self.device = choose_device(job.asked.device)
        self.card = card_to_plain(replace(loaded.card, facts={}))
        self.model, self.plan = loaded.model.to(self.device), None
        self.ladder: list[dict[str, Any]] = []
        self.seconds = 0.0

    plan: PruningPlan | None

    def run(self) -> None:
        """The whole course, or what is left of it after the last round that was finished before the server died."""
        card, forget = self.loaded.card, list(self.job.forget)
        self._require_possible()
        sealed = unseal(self.folder, self.loaded.digest)
        if sealed:
            self._recall(sealed)
        self._clocked(
            lambda: self.server.register(
                {"fingerprint": fingerprint(card.classes, card.image_size), "forget": forget}
            )
        )
        if self.job.asked.action == "unlearn" and not sealed:
            self._clocked(self._prune)
            self._observe("pruned")
        state: Arrays = state_of(self.model.net)
        for number in range(sealed.number + 1 if sealed else 1, self.job.asked.rounds + 1):
            self._seal(number - 1, state)
            state = self._clocked(partial(self._round, state, number))
            self._observe(f"round {number}", number)
        # Before the last exchange: what was trained must not depend on who answers it.
        save_model(self.folder / "model.safetensors", self.model, self._final_card(), self.plan)
        tallies = self.server.tallies(self._ask("evaluate", state, {"forget": forget}))
        write_json(
            self.folder / OUTCOME,
            {
                "ladder": self.ladder,
                "seconds": round(self.seconds, 3),
                "plan": plan_to_plain(self.plan) if self.plan else None,
                "tallies": None if tallies is None else tallies.tolist(),
                "members": [vars(m) for m in self.server.roster.members.values()],
                **self.server.journal.to_plain(),
            },
        )
        forget_sealed(self.folder)

    def _seal(self, number: int, state: Arrays) -> None:
        told = {
            "ladder": self.ladder,
            "seconds": self.seconds,
            "plan": plan_to_plain(self.plan) if self.plan else None,
            **self.server.journal.to_plain(),
        }
        seal(self.folder, Sealed(self.loaded.digest, number, state, told))

    def _recall(self, sealed: Sealed) -> None:
        """Everything as it was after a round; the clients have yet to register anew."""
        told = sealed.told
        self.ladder, self.seconds = list(told["ladder"]), told["seconds"]
        self.server.conversation.journal = Journal.from_plain(told)
        if told["plan"]:
            self._cut(plan_from_plain(told["plan"]))
        load_state(self.model.net, sealed.state)

    def _require_possible(self) -> None:
        if not self.job.asked.secure or self.job.asked.action != "unlearn":
            return
        if self.job.asked.weighting == "plain":
            raise UnlearnError(
                "The plain average needs each client's own statistics, which secure hides; choose weighting counts."
            )
        if self.job.asked.clients < LEAST_CLIENTS:
            raise UnlearnError(
                f"A secure sum needs {LEAST_CLIENTS} clients or more, not {self.job.asked.clients}: of two, each "
                "could tell the other's part."
            )

    def _prune(self) -> None:
        """Makes the plan of all clients' statistics, and the pruned model as every client makes it from the plan."""
        example = example_for(self.model, self.split.test.images)
        params = self.job.params
        plan = plan_by(self._stats, self.model, example, params, self.job.forget, self.job.asked.seed)
        write_json(self.folder / "plan.json", plan_to_plain(plan))
        self._cut(plan)

    def _cut(self, plan: PruningPlan) -> None:
        self.plan = plan
        pruned = remove(self.model.net, plan, example_for(self.model, self.split.test.images))
        self.model = Classifier(pruned, self.model.normalization).to(self.device).eval()

    def _stats(self, silence: PruningPlan | None) -> ActivationStats:
        """All clients' statistics as one; the first ones are kept, whole and by client."""
        params = self.job.params
        ask = self._ask(
            "stats",
            state_of(self.model.net),
            {
                "tap": params.tap,
                "images_per_class": params.images_per_class,
                "privacy": dict(self.job.privacy),
                "silence": plan_to_plain(silence) if silence else None,
            },
        )
        schema, parts = self._stats_schema(), {}
        privacy = build(Privacy, self.job.privacy)
        if self.job.asked.secure:
            whole = secure_stats(self.server.conversation, ask, schema, self.split.classes, privacy)
        else:
            parts = self.server.stats(ask, schema, self.split.classes, privacy)
            whole = self.server.whole(parts)
        if silence is None:
            save_stats(whole, self.folder / REPORTED)
            if parts:
                write_npz(self.folder / "client_stats.npz", _stacked(parts))
        return whole

    def _stats_schema(self) -> Schema:
        modules = dict(self.model.net.named_modules())
        images = torch.zeros((2, *self.split.test.images.shape[1:]), dtype=torch.uint8, device=self.device)
        with evaluating(self.model), torch.inference_mode():
            layers = [point.layer for point in tap_points(self.model, images, self.job.params.tap)]
        k = len(self.split.classes)
        sums = {layer: np.zeros((k, modules[layer].out_channels)) for layer in layers}
        return schema_of(
            stats_to_arrays(ActivationStats(self.split.classes, "", sums, np.zeros(k, dtype=np.int64)))
        )

    def _round(self, state: Arrays, number: int) -> Arrays:
        recipe = {f.name: getattr(self.job.params, f.name) for f in fields(Recipe)}
        recipe["epochs"] = self.job.asked.local_epochs
        config = {
            "recipe": recipe,
            "round": number,
            "rounds": self.job.asked.rounds,
            "seed": self.job.asked.seed,
            "forget": list(self.job.forget),
        }
        state = self.server.train(self._ask("train", state, config))
        load_state(self.model.net, state)
        return state

    def _ask(self, kind: str, state: Arrays, config: Mapping[str, Any]) -> Question:
        plan = plan_to_plain(self.plan) if self.plan else None
        return Question(kind, state, {"card": self.card, "plan": plan, **config})

    def _observe(self, name: str, number: int = 0) -> None:
        """Tests the model on the server's own test images, and notes it with what it has cost so far."""
        tested = evaluation.to_plain(
            evaluation.tabulate(self.split, evaluation.test_predictions(self.model, self.split))
        )
        names = ("forget_test_accuracy", "retain_test_accuracy", "test_accuracy", "per_class")
        self.ladder.append(
            {
                "rung": name,
                "seconds": round(self.seconds, 3),
                "bytes": self.server.journal.total_bytes,
                **{n: tested[n] for n in names},
            }
        )
        told = {**self.ladder[-1], "round": number, "epoch": number, "keep": True}
        self.report(Progress("federated rounds", number or 1, max(1, self.job.asked.rounds), told))

    def _final_card(self) -> ModelCard:
        facts = dict(self.loaded.card.facts)
        if self.ladder:
            facts |= measured_facts(self.model.net, self.ladder[-1])
        else:  # no round was asked for: the weights are a new network's, or the given ones
            facts["weights_digest"] = digest_of(self.model.net.state_dict())
        facts["federated"] = {
            name: getattr(self.job.asked, name)
            for name in (
                "action",
                "clients",
                "partition",
                "rounds",
                "local_epochs",
                "aggregator",
                "weighting",
                "seed",
            )
        }
        if self.job.forget:
            facts["forgot"] = [self.split.classes[k] for k in self.job.forget]
        if self.job.asked.action == "unlearn":
            facts["unlearned_from"] = self.loaded.digest
        return replace(self.loaded.card, facts=facts)

    def _clocked(self, work: Callable[[], Any]) -> Any:
        """Does the work on the clock, which stands still while the model is tested."""
        began = time.perf_counter()
        done = work()
        self.seconds += time.perf_counter() - began
        return done


def _stacked(parts: Mapping[int, ActivationStats]) -> dict[str, NDArray[Any]]:
    """The statistics of M clients as they reported them: `clients` (M,), `counts` (M, K), `sums/LAYER` (M, K, C)."""
    each = list(parts.values())
    sums = {f"sums/{layer}": np.stack([part.sums[layer] for part in each]) for layer in each[0].layers}
    return {"clients": np.array(list(parts)), "counts": np.stack([part.counts for part in each]), **sums}
