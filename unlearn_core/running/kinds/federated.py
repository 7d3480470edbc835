"""A run of a federation: clients that keep their images train, unlearn or retrain together."""

from unlearn_core.federated.request import FederatedRequest, client_settings
from unlearn_core.results.loading import of_record
from unlearn_core.results.result import FederatedResult
from unlearn_core.running.bench import Bench, Estimate
from unlearn_core.running.kinds.kind import Kind, Output, Params, Request
from unlearn_core.running.kinds.unlearn import table_of
from unlearn_core.running.watching import seconds_of_work
from unlearn_core.words import duration, size

DEEDS = {"train": "training", "unlearn": "unlearning", "retrain": "retraining"}
"""What each action does, as a noun."""

_AS_LONG = ("action", "model", "data", "engine", "clients", "participation", "local_epochs")
"""What two runs must share for a round of them to take as long."""


def action_of(request: Request) -> str:
    """train, unlearn or retrain."""
    return str(request.get("settings", {}).get("action", FederatedRequest.action))


def _summary(result: FederatedResult, wrote: str) -> str:
    federation = result.federation
    sent = size(federation.bytes_down + federation.bytes_up)
    return (
        f"{table_of(result)}\n{federation.clients} clients, {federation.partition}: {sent} sent, "
        f"{len(federation.events)} answers missing or rejected"
    )


def _estimate(request: Request, bench: Bench) -> Estimate | None:
    """From the newest run whose rounds take as long: what it needed beside them, and as many rounds as are asked for."""
    settings = request["settings"]
    for record in bench.past("federated"):
        theirs = record.request["settings"]
        if not all(str(theirs.get(name)) == str(settings[name]) for name in _AS_LONG):
            continue
        seconds, result = seconds_of_work(record), of_record(bench.store.get(record.id))
        if seconds is None or not isinstance(result, FederatedResult) or len(result.ladder) < 2:
            continue
        rounds = sum(rung.rung.startswith("round") for rung in result.ladder)
        each = (result.ladder[-1].seconds or 0.0) / max(1, rounds)
        source = f": the last such run took {duration(each)} a round, and {duration(seconds)} in all."
        beside = max(0.0, seconds - (result.seconds or 0.0))
        return Estimate(beside + each * settings["rounds"], source, by_past=True)
    return None


KIND = Kind(
    name="federated",
    label="Federated",
    about="Train, unlearn or retrain with images that stay at their clients.",
    request=FederatedRequest,
    result=FederatedResult,
    summary=_summary,
    params=Params(client_settings, of="action", heading="recipe of a client"),
    required=lambda action: ("data",) if action == "train" else ("data", "model", "forget"),
    output=Output("model.safetensors", "where the model goes (.safetensors)"),
    subcommands=True,
    keeps_parts=True,
    estimate=_estimate,
    forgets=lambda request: action_of(request) in {"unlearn", "retrain"},
    verb=lambda request: "Retrain without" if action_of(request) == "retrain" else "Forget",
)
