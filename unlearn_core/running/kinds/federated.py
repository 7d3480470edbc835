"""A run of a federation: clients that keep their images train, unlearn or retrain together."""

from unlearn_core.federated.request import FederatedRequest, client_settings
from unlearn_core.results.result import FederatedResult
from unlearn_core.running.kinds.kind import Kind, Output, Params, Request
from unlearn_core.running.kinds.unlearn import table_of
from unlearn_core.words import size

DEEDS = {"train": "training", "unlearn": "unlearning", "retrain": "retraining"}
"""What each action does, as a noun."""


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
    forgets=lambda request: action_of(request) in {"unlearn", "retrain"},
    verb=lambda request: "Retrain without" if action_of(request) == "retrain" else "Forget",
)
