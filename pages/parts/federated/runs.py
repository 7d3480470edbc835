"""Which federated runs there are, which one is shown, and starting one."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts import selection
from pages.parts.federated.form import known
from pages.parts.opened import store
from unlearn_core.params import checked
from unlearn_core.running.words import title_of, when
from unlearn_core.store.runs import RunRecord, RunState

_SAME = ("data", "model", "forget", "clients", "partition", "seed")
_SAME += (
    "engine",
    "local_epochs",
    "participation",
    "dropout",
    "aggregator",
    "weighting",
    "device",
    "superlink",
)
"""What two runs must share for their courses to stand on one axis."""
SHARED = ("batch_size", "augment", "precision", "momentum", "weight_decay")
"""What unlearning and the retraining beside it share of a client's recipe; the course of the learning rate is their own."""


def finished() -> list[RunRecord]:
    """Finished federated runs, newest first."""
    return [r for r in store().list("federated", 300) if r.state is RunState.SUCCEEDED]


def shown(chosen: selection.Selection, records: list[RunRecord]) -> RunRecord | None:
    """The run that the selection names, else the newest of its model, else the newest of all."""
    by_id = {r.id: r for r in records}
    own = [r for r in records if r.request["settings"].get("model") == chosen.model]
    unlearning = [r for r in own if action_of(r) == "unlearn" and not is_control(r)]
    return by_id.get(chosen.b) or next(iter([*unlearning, *own, *records]), None)


def picker(chosen: selection.Selection, records: list[RunRecord], present: RunRecord) -> None:
    """Chooses the run that is shown."""
    key = "pick federated"
    st.session_state[key] = present.id
    names = {r.id: f"{title_of(r)} · {when(r.created)}" for r in records}
    st.selectbox(
        "Run shown",
        list(names),
        format_func=names.get,
        key=key,
        on_change=lambda: selection.choose(b=st.session_state[key]),
    )


def counterpart(record: RunRecord, records: list[RunRecord]) -> RunRecord | None:
    """The newest finished run of the other kind (unlearning, retraining) on the same federation."""
    wanted = {"unlearn": "retrain", "retrain": "unlearn"}.get(action_of(record))
    alike = (r for r in records if action_of(r) == wanted and not is_control(r))
    return next((r for r in alike if _federation(r) == _federation(record)), None)


def control(record: RunRecord, records: list[RunRecord]) -> RunRecord | None:
    """The newest finished run like an unlearning run but for its channels, which were drawn at random."""
    ours = result_of(record)
    drawn = (r for r in records if is_control(r) and _federation(r) == _federation(record))
    return next((r for r in drawn if ours and _shaped_by(result_of(r)) == _shaped_by(ours)), None)


def _shaped_by(result: Mapping[str, Any] | None) -> Any:
    """All that shaped an unlearning run's result but the choice of its channels, with the values that it really had."""
    if result is None:
        return None
    told = [result["inputs"].get(name) for name in ("model_digest", "data_digest", "normalization")]
    return [*told, result["federation"].get("settings"), {**result["params"], "direction": ""}]


def is_control(record: RunRecord) -> bool:
    """Whether the run drew its channels at random, to show what the scores are worth."""
    return action_of(record) == "unlearn" and record.request.get("params", {}).get("direction") == "random"


def _federation(run: RunRecord) -> dict[str, Any]:
    """The clients of a run and its rules: what it shares with those that stand on one axis with it."""
    asked, settings = run.request["settings"], known().request
    return {name: checked(settings[name], asked.get(name, settings[name].default)) for name in _SAME}


def action_of(record: RunRecord) -> str:
    """train, unlearn or retrain."""
    return str(record.request["settings"].get("action", "unlearn"))


def result_of(record: RunRecord) -> dict[str, Any] | None:
    """A finished run's result; None where its files are damaged."""
    return store().get(record.id).result
