"""A sweep over sparsity as runs in the queue: sparse models, and behind each what is measured on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unlearn_core.running.orders import Order
from unlearn_core.store.runs import RunState, RunStore
from unlearn_core.unlearning.registry import short_label
from unlearn_core.words import trimmed_percent

Cells = Sequence[tuple[float, str]]
"""What is to be measured: sparsities, 0 for the dense model, and methods by name."""


@dataclass(frozen=True)
class Sweep:
    """One dense model, made sparse in one way, that forgets one thing.

    Attributes:
        model: Reference of the dense model.
        data: Data set.
        classes: What is to be forgotten, as the command line takes it; empty for a random share.
        fraction: The random share; 0 for classes.
        share_seed: Of its draw.
        sparsifier: How weights that go are chosen.
        device: Where the runs wait for their turn.
    """

    model: str
    data: str
    classes: str
    fraction: float
    share_seed: int
    sparsifier: str
    device: str

    def sparse_models(self, store: RunStore) -> dict[float, str]:
        """Own sparse models by default settings, finished or in the queue: a reference by sparsity, the newest."""
        settings = self.sparse_order(0.0).request["settings"]
        alive = (
            r
            for r in store.list("sparsify", 200)
            if r.state is RunState.SUCCEEDED or not r.state.final
            if _agree(
                r.request.get("settings", {}), settings, ("model", "data", "sparsifier", "strict", "seed")
            )
            if set(r.request.get("params", {})) == {"sparsity"}
        )
        return {r.request["params"]["sparsity"]: f"run:{r.id}" for r in reversed(list(alive))}

    def pending(self, store: RunStore) -> set[tuple[float, str]]:
        """The cells that wait or are at work already."""
        models = {self.model: 0.0, **{m: s for s, m in self.sparse_models(store).items()}}
        settings = self.order(0.0, "", self.model).request["settings"]
        unfinished = [r.request.get("settings", {}) for r in store.unfinished() if r.kind == "unlearn"]
        same = [s for s in unfinished if _agree(s, settings, ("forget", "fraction", "share_seed"))]
        return {(models[s["model"]], s["method"]) for s in same if s.get("model") in models}

    def orders(self, store: RunStore, cells: Cells) -> list[Order]:
        """The runs that measure these cells; each sparse model that is missing goes before what begins with it."""
        models = {0.0: self.model, **self.sparse_models(store)}
        orders: list[Order] = []
        bases: dict[float, Order] = {}
        for sparsity, method in cells:
            if sparsity not in models and sparsity not in bases:
                bases[sparsity] = self.sparse_order(sparsity)
                orders.append(bases[sparsity])
            orders.append(self.order(sparsity, method, models.get(sparsity, ""), bases.get(sparsity)))
        return orders

    def sparse_order(self, sparsity: float) -> Order:
        """The run that makes the model so sparse."""
        settings = {
            "model": self.model,
            "data": self.data,
            "sparsifier": self.sparsifier,
            "strict": False,
            "forget": "",
            "fraction": 0.0,
            "seed": 0,
            "device": self.device,
        }
        name = f"{self.model.rpartition(':')[2]} at {trimmed_percent(sparsity)}"
        return Order("sparsify", {"settings": settings, "params": {"sparsity": sparsity}}, self.device, name)

    def order(self, sparsity: float, method: str, model: str, base: Order | None = None) -> Order:
        """The run of a method on the model of that sparsity, or on the one that `base` makes."""
        settings: dict[str, Any] = {
            **({} if base else {"model": model}),
            "data": self.data,
            "forget": self.classes,
            "fraction": self.fraction,
            "share_seed": self.share_seed,
            "method": method,
            "controls": "none",
            "seed": 0,
            "device": self.device,
        }
        what = self.classes.replace(",", ", ") or trimmed_percent(self.fraction)
        name = f"Forget {what} · {short_label(method)} · {trimmed_percent(sparsity)} sparse"
        return Order("unlearn", {"settings": settings, "params": {}}, self.device, name, base)


def _agree(one: dict[str, Any], other: dict[str, Any], names: Sequence[str]) -> bool:
    """Whether two requests' settings say the same; a setting that is missing says as little as an empty one."""
    return all((one.get(name) or "") == (other.get(name) or "") for name in names)
