"""Orders of runs: whoever gives them, a page or the command line, each becomes one run, however often it is given."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearn_core.running import jobs
from unlearn_core.running.kinds.kind import Request
from unlearn_core.store.runs import RunRecord, RunStore


@dataclass(frozen=True)
class Order:
    """A run that may be started.

    Attributes:
        kind: Of the run.
        request: What is asked of it; where its settings name no device, they get the one that was found.
        device: Where it waits for its turn; `auto` takes the fastest that is there.
        name: What the run is called.
        base: The order whose model this run begins with; its settings then name no model.
    """

    kind: str
    request: Request
    device: str = "auto"
    name: str = ""
    base: "Order | None" = None

    def token(self, nonce: str) -> str:
        """The same for the same order under the same nonce: one token, one run."""
        before = self.base.token(nonce) if self.base else ""
        parts = [nonce, self.kind, self.request, self.device, before]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def place(store: RunStore, orders: Sequence[Order], nonce: str) -> tuple[RunRecord, ...]:
    """The runs of the orders; those that aren't there yet under this nonce are started, in this order.

    Raises:
        UnlearnError: One can't be started; those before it are.
    """
    from unlearn_core.models.inference import choose_device

    runs: dict[str, RunRecord] = {}
    for order in orders:
        token, device = order.token(nonce), str(choose_device(order.device))
        settings = {"device": device, **order.request["settings"], **_model(order.base, nonce, runs)}
        request = {**order.request, "settings": settings}
        runs[token] = jobs.submit(store, order.kind, request, token, device, order.name)
    return tuple(runs.values())


def placed(store: RunStore, orders: Sequence[Order], nonce: str) -> tuple[RunRecord, ...]:
    """The runs that were started of these orders under this nonce, oldest first."""
    return store.of_tokens([order.token(nonce) for order in orders])


def _model(base: Order | None, nonce: str, runs: Mapping[str, RunRecord]) -> dict[str, Any]:
    return {"model": f"run:{runs[base.token(nonce)].id}"} if base else {}
