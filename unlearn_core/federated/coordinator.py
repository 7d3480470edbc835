"""The server's part in a federated run: statistics, plan, rounds, and a test after each; whatever the transport."""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np

from unlearn_core.channels.activations import ActivationStats, save_stats
from unlearn_core.channels.pruning import PruningPlan, plan_from_plain, plan_to_plain
from unlearn_core.checkpoints.model_files import (
    LoadedModel,
    digest_of,
    measured_facts,
    open_model,
    save_model,
)
from unlearn_core.data.classes import align_classes
from unlearn_core.data.forgotten import Forgotten, forgotten_by, to_facts
from unlearn_core.data.leaving_out import leave_out, marks
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import ForgetSplit
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.client_stats import BY_CLIENT, REPORTED, save_client_stats
from unlearn_core.federated.finished_round import FinishedRound, load_round, remove_round, save_round
from unlearn_core.federated.global_model import GlobalModel
from unlearn_core.federated.job import START, Job, read_job, split_of
from unlearn_core.federated.journal import Journal
from unlearn_core.federated.ladder import Ladder
from unlearn_core.federated.messages import Arrays, Transport, fingerprint
from unlearn_core.federated.outcome import Outcome, write_outcome
from unlearn_core.federated.partition import draw, parse_partition
from unlearn_core.federated.privacy import Privacy
from unlearn_core.federated.request import FederatedRequest, rules_of
from unlearn_core.federated.secure_stats import LEAST_CLIENTS, secure_stats
from unlearn_core.federated.server import Server
from unlearn_core.intervals import Tally
from unlearn_core.models.inference import choose_device
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.specs import ModelCard
from unlearn_core.params import build
from unlearn_core.progress import Progress, Report
from unlearn_core.results.loading import from_plain
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import Rung
from unlearn_core.store.files import write_json
from unlearn_core.unlearning.tfidf_prune import plan_by

_ON_CARD = (
    "action", "clients", "partition", "rounds", "local_epochs", "aggregator", "weighting", "seed",
)  # fmt: skip


def conduct(folder: Path, transport: Transport, report: Report) -> None:
    """Leads the clients through the job in the folder, and leaves model, plan, statistics and a record of it there.

    Raises:
        UnlearnError: Too few clients took part, or the job can't be done with this model and data.
    """
    job = read_job(folder)
    _require_possible(job.request)
    loaded = open_model(folder / START)
    dataset = align_classes(open_dataset(parse_dataset(job.request.data), report), loaded.card.classes)
    forgotten = forgotten_by(loaded.card.facts)
    server = Server(transport, rules_of(job.request), report, _dealt(job, dataset, forgotten))
    split = split_of(leave_out(dataset, forgotten), job.forget)
    _Coordinator(folder, job, loaded, split, server, report).run()


def _require_possible(request: FederatedRequest) -> None:
    """Lets no secure sum begin that can't be made, or would hide nothing."""
    if not request.secure or request.action != "unlearn":
        return
    if request.weighting == "plain":
        raise UnlearnError(
            "The plain average needs each client's own statistics, which secure hides; choose weighting counts."
        )
    if request.clients < LEAST_CLIENTS:
        raise UnlearnError(
            f"A secure sum needs {LEAST_CLIENTS} clients or more, not {request.clients}: of two, each "
            "could tell the other's part."
        )


def _dealt(job: Job, dataset: Dataset, forgotten: Forgotten) -> list[tuple[int, int]]:
    """Images of each client's part that the model wasn't made to forget before, and those of them that it trains on."""
    labels, request = dataset.train.labels.numpy(), job.request
    gone = marks(dataset.train, forgotten, dataset.classes).numpy()
    drawn = draw(labels, request.clients, parse_partition(request.partition), seed=request.seed)
    parts = [part[~gone[part]] for part in drawn]
    return [(len(part), int((~np.isin(labels[part], job.forget)).sum())) for part in parts]


class _Coordinator:
    """One run at the server, step by step."""

    def __init__(
        self,
        folder: Path,
        job: Job,
        loaded: LoadedModel,
        split: ForgetSplit,
        server: Server,
        report: Report,
    ) -> None:
        self.folder, self.job, self.loaded, self.split = folder, job, loaded, split
        self.server, self.report = server, report
        device = choose_device(job.request.device)
        self.global_model = GlobalModel(loaded, split.test.images, device)
        self.ladder = Ladder()

    def run(self) -> None:
        """The whole run, or what is left of it after the last round that was finished before the server died."""
        finished = load_round(self.folder, self.loaded.digest)
        if finished:
            self._resume(finished)
        self.ladder.clocked(self._register)
        if self.job.request.action == "unlearn" and not finished:
            self.ladder.clocked(self._prune)
            self._test("pruned")
        state = self._train(self.global_model.state, finished.number if finished else 0)
        # Before the last exchange: what was trained must not depend on who answers it.
        card = _final_card(self.job, self.loaded, self.global_model, self.ladder)
        save_model(
            self.folder / "model.safetensors",
            self.global_model.classifier,
            card,
            self.global_model.whole_plan,
        )
        self._write_outcome(self._tallies(state))
        remove_round(self.folder)

    def _resume(self, finished: FinishedRound) -> None:
        """Makes everything as it was after a round; the clients have yet to register anew."""
        record = finished.record
        rungs = [from_plain(Rung, values, "ladder") for values in record["ladder"]]
        self.ladder = Ladder(rungs, record["seconds"])
        self.server.conversation.journal = Journal.from_plain(record)
        if record["plan"]:
            self.global_model.cut(plan_from_plain(record["plan"]))
        self.global_model.load(finished.state)

    def _register(self) -> None:
        card = self.loaded.card
        images = fingerprint(card.classes, card.image_size)
        left_out = to_facts(self.global_model.forgotten)
        self.server.register({"fingerprint": images, "forget": list(self.job.forget), **left_out})

    def _prune(self) -> None:
        """Makes the plan of all clients' statistics, and the pruned model of the plan."""
        params, seed = self.job.params, self.job.request.seed
        model = self.global_model
        plan = plan_by(self._stats, model.classifier, model.example(), params, self.job.forget, seed)
        write_json(self.folder / "plan.json", plan_to_plain(plan))
        model.cut(plan)

    def _stats(self, silence: PruningPlan | None) -> ActivationStats:
        """All clients' statistics as one; the first ones are kept, whole and by client."""
        whole, parts = self._reported(silence)
        if silence is None:
            save_stats(whole, self.folder / REPORTED)
            if parts:
                save_client_stats(self.folder / BY_CLIENT, parts)
        return whole

    def _reported(self, silence: PruningPlan | None) -> tuple[ActivationStats, Mapping[int, ActivationStats]]:
        """What the clients report as one, and by client; of a secure sum nobody's own part is known."""
        params, classes = self.job.params, self.split.classes
        config = {
            "tap": params.tap,
            "images_per_class": params.images_per_class,
            "privacy": dict(self.job.privacy),
            "silence": plan_to_plain(silence) if silence else None,
        }
        question = self.global_model.question("stats", self.global_model.state, config)
        schema = self.global_model.stats_schema(params.tap, classes)
        privacy = build(Privacy, self.job.privacy)
        if self.job.request.secure:
            return secure_stats(self.server.conversation, question, schema, classes, privacy), {}
        parts = self.server.stats(question, schema, classes, privacy)
        return self.server.whole(parts), parts

    def _train(self, state: Arrays, finished: int) -> Arrays:
        """The state after all rounds, those that are finished left out."""
        for number in range(finished + 1, self.job.request.rounds + 1):
            self._save_round(number - 1, state)
            state = self.ladder.clocked(partial(self._round, state, number))
            self._test(f"round {number}", number)
        return state

    def _round(self, state: Arrays, number: int) -> Arrays:
        recipe = {f.name: getattr(self.job.params, f.name) for f in fields(Recipe)}
        config = {
            "recipe": {**recipe, "epochs": self.job.request.local_epochs},
            "round": number,
            "rounds": self.job.request.rounds,
            "seed": self.job.request.seed,
            "forget": list(self.job.forget),
        }
        trained = self.server.train(self.global_model.question("train", state, config))
        self.global_model.load(trained)
        return trained

    def _test(self, name: str, number: int = 0) -> None:
        """Adds a rung to the ladder, and reports it."""
        sent = self.server.journal.total_bytes
        rung = self.ladder.add_rung(name, self.global_model.classifier, self.split, sent)
        metrics = {**to_plain(rung), "round": number, "epoch": number, "keep": True}
        rounds = max(1, self.job.request.rounds)
        self.report(Progress("federated rounds", number or 1, rounds, metrics))

    def _tallies(self, state: Arrays) -> tuple[Tally, Tally] | None:
        config = {"forget": list(self.job.forget)}
        tallies = self.server.tallies(self.global_model.question("evaluate", state, config))
        if tallies is None:
            return None
        forget, keep = (Tally(*row) for row in tallies.tolist())
        return forget, keep

    def _save_round(self, number: int, state: Arrays) -> None:
        record = {
            "ladder": to_plain(self.ladder.rungs),
            "seconds": self.ladder.seconds,
            "plan": plan_to_plain(self.global_model.plan) if self.global_model.plan else None,
            **self.server.journal.to_plain(),
        }
        save_round(self.folder, FinishedRound(self.loaded.digest, number, state, record))

    def _write_outcome(self, tallies: tuple[Tally, Tally] | None) -> None:
        journal = self.server.journal
        outcome = Outcome(
            ladder=tuple(self.ladder.rungs),
            seconds=round(self.ladder.seconds, 3),
            plan=self.global_model.plan,
            events=tuple(journal.events),
            exchanges=tuple(journal.exchanges),
            tallies=tallies,
            members=tuple(self.server.roster.members.values()),
        )
        write_outcome(self.folder, outcome)


def _final_card(job: Job, loaded: LoadedModel, model: GlobalModel, ladder: Ladder) -> ModelCard:
    """The card of what the run leaves: how it was made, and how it did in the last test."""
    facts = dict(loaded.card.facts)
    if ladder.rungs:
        last = ladder.rungs[-1]
        facts |= measured_facts(model.classifier.net, last.test_accuracy, last.per_class)
    else:  # no round was asked for: the weights are a new network's, or the given ones
        facts["weights_digest"] = digest_of(model.classifier.net.state_dict())
    facts["federated"] = {name: getattr(job.request, name) for name in _ON_CARD}
    if job.forget:
        facts["forgot"] = [loaded.card.classes[k] for k in job.forget]
        facts |= to_facts(model.forgotten | Forgotten(tuple(facts["forgot"])))
    if job.request.action == "unlearn":
        facts["unlearned_from"] = loaded.digest
    return replace(loaded.card, facts=facts)
