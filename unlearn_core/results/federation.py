"""A federated run as rows for charts: who holds what, what passed between server and clients, and who got there first."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.intervals import Tally, wilson
from unlearn_core.words import counted, figure, listed, percent, quoted, seconds, size

Plain = Mapping[str, Any]
Row = dict[str, Any]

STAGES = {
    "registering clients": "register",
    "reading activations": "stats",
    "training at the clients": "train",
    "evaluating at the clients": "evaluate",
}
"""Which exchange a server is at when it reports a stage."""

MASKED = "adding up under masks"
"""The stage at which statistics are added so that no client's own are seen."""

SLACK, GONE = 0.01, 0.05
"""Unlearning has got there when the kept classes are this close to the original, and this little is left of the others."""

_EMPTY = 2  # bytes of an answer that only says that there is none
_TITLES = {"register": "Register", "stats": "Read channels", "evaluate": "Count"}
_CONTENT = {
    "register": ("question", "counts"),
    "stats": ("model", "class sums"),
    "train": ("model", "weights"),
    "evaluate": ("model", "counts"),
}


def holding_rows(held: NDArray[np.int64], classes: Sequence[str], forget: Collection[int]) -> list[Row]:
    """One row a client and class: how many images, and whether they are to be forgotten.

    Args:
        held: Images of each class at each client, (M, K).
        classes: The K class names.
        forget: Indices of the classes to forget.
    """
    carriers = carrying(held, forget)
    return [
        {
            "client": client,
            "class": name,
            "images": int(held[client, k]),
            "forget": k in forget,
            "carries": client in carriers,
        }
        for client in range(len(held))
        for k, name in enumerate(classes)
    ]


def carrying(held: NDArray[np.int64], forget: Collection[int]) -> list[int]:
    """The clients that hold an image of a class to forget, those with most first."""
    counts = held[:, sorted(forget)].sum(axis=1)
    return [int(c) for c in np.argsort(-counts, kind="stable") if counts[c]]


def holding_sentence(held: NDArray[np.int64], classes: Sequence[str], forget: Collection[int]) -> str:
    """Who carries what is to be forgotten, and how even the clients are."""
    sizes = held.sum(axis=1)
    spread = f"hold {sizes.min():,} to {sizes.max():,} of the {sizes.sum():,} training images"
    if not forget:
        return f"{len(held)} clients {spread}; none of these leaves its client."
    names = listed([quoted(classes[k]) for k in sorted(forget)])
    carriers = carrying(held, forget)
    counts = held[:, sorted(forget)].sum(axis=1)
    if not carriers:
        return f"{len(held)} clients {spread}; none holds an image of {names}."
    most = carriers[0]
    return (
        f"{len(carriers)} of {len(held)} clients carry {names}, client {most} most with {counts[most]:,} of "
        f"{counts.sum():,} images; all of them {spread}."
    )


def heard(events: Iterable[Plain]) -> list[Row]:
    """The exchanges of a run that is still at work, from what it has reported: as far as they have come."""
    exchanges: dict[tuple[str, int], Row] = {}
    for event in events:
        kind, told = STAGES.get(event["stage"]), event["metrics"]
        if event["stage"] == MASKED:
            exchanges.setdefault(("stats", 0), _new("stats", 0))
        if kind is None or "client" not in told:
            continue
        key = (kind, int(told["round"]))
        row = exchanges.setdefault(key, _new(*key))
        row["asked"] = event["total"]
        client = str(told["client"])
        row["bytes_down"][client] = told.get("bytes_down", 0)
        row["bytes_up"][client] = told["bytes_up"]
        if told.get("loss") is not None:
            row["loss"][client] = told["loss"]
    return list(exchanges.values())


def _new(kind: str, number: int) -> Row:
    """An exchange of which nothing is known yet."""
    return {"kind": kind, "round": number, "bytes_down": {}, "bytes_up": {}, "loss": {}, "seconds": None}


def protocol(
    action: str, exchanges: Sequence[Plain], clients: int, rounds: int, plan: Plain | None, ended: bool
) -> list[Row]:
    """One row a step of the protocol, in its order: what was sent, bytes, who answered, and how far it is.

    Args:
        action: train, unlearn or retrain.
        exchanges: From a finished run's record, or from `heard`.
        clients: How many take part.
        rounds: How many rounds are asked for.
        plan: The plain pruning plan, once it is made.
        ended: Whether the run is over.
    """
    kinds = ["register", *(["stats", "plan"] if action == "unlearn" else []), "train", "evaluate"]
    begun = [k for k in kinds if any(e["kind"] == k for e in exchanges)]
    if plan and begun[-1:] == ["stats"]:  # once there is a plan, the rounds come next
        begun.append("train")
    last = kinds.index(begun[-1]) if begun else -1
    rows = []
    for place, kind in enumerate(kinds):
        own = [e for e in exchanges if e["kind"] == kind]
        state = "done" if ended or place < last else "working" if place == last else "waiting"
        made = _plan_step(plan, state) if kind == "plan" else _step(kind, own, clients, rounds, action, state)
        sent = {f"{way}_text": _sent(made[way], made[f"bytes_{way}"]) for way in ("down", "up")}
        rows.append({"step": place, "kind": kind, "state": state, **made, **sent})
    return rows


def _plan_step(plan: Plain | None, state: str) -> Row:
    cut = sum(len(g["channels"]) * len(g["layers"]) for g in plan["groups"]) if plan else 0
    server = f"scores and plans\n{cut:,} channels go" if plan else "scores and plans"
    return {"title": "Plan", "server": server, "clients": "", "down": "", "up": "", **_NOTHING}


def _sent(what: str, count: int) -> str:
    """What goes one way, with its bytes once it has gone."""
    return f"{what}\n{size(count)}" if count else what


_NOTHING = {"bytes_down": 0, "bytes_up": 0, "asked": 0, "answered": 0, "seconds": None}


def _step(kind: str, own: Sequence[Plain], clients: int, rounds: int, action: str, state: str) -> Row:
    down, up = _CONTENT[kind]
    asked, got = _attendance(own if state == "done" or kind == "stats" else own[-1:])
    known = [e["seconds"] for e in own if e["seconds"] is not None]
    return {
        "title": _train_title(own, rounds, action, state) if kind == "train" else _TITLES[kind],
        "server": _SERVER[kind],
        "clients": f"{got} of {asked} answered" if asked else f"{clients} clients",
        "down": down,
        "up": up,
        "bytes_down": sum(sum(e["bytes_down"].values()) for e in own),
        "bytes_up": sum(sum(e["bytes_up"].values()) for e in own),
        "asked": asked or clients,
        "answered": got,
        "seconds": sum(known) if known else None,
    }


def _attendance(exchanges: Sequence[Plain]) -> tuple[int, int]:
    """How many clients were asked and how many gave an answer that says something, everyone counted once.

    Who doesn't answer may be asked again, and not everyone is asked in every round.
    """
    asked = len({c for e in exchanges for c in e["bytes_down"]})
    told = max((e.get("asked", 0) for e in exchanges), default=0)
    return max(asked, told), len({c for e in exchanges for c, n in e["bytes_up"].items() if n > _EMPTY})


def _train_title(own: Sequence[Plain], rounds: int, action: str, state: str) -> str:
    at_work = own and state != "done"
    what = "Fine-tune" if action == "unlearn" else "Train"
    if at_work:
        return f"{what} · round {own[-1]['round']} of {rounds}"
    return f"{what} · {rounds} round{'' if rounds == 1 else 's'}"


_SERVER = {
    "register": "knows its clients",
    "stats": "adds the sums",
    "train": "averages weights",
    "evaluate": "adds the counts",
}


def cells(
    exchanges: Sequence[Plain],
    events: Sequence[Plain],
    clients: int,
    losses: Mapping[tuple[int, str], float],
) -> list[Row]:
    """One row a round and client: whether it trained, its loss, and bytes each way.

    Args:
        exchanges: From a finished run's record, or from `heard`.
        events: Who dropped out or was rejected, from the record.
        clients: How many take part.
        losses: Last loss of a client in a round, where it is known.
    """
    rejected = {(e["round"], e["client"]) for e in events if e["event"] == "rejected" and "client" in e}
    rows: dict[tuple[int, int], Row] = {}
    for exchange in exchanges:
        if exchange["kind"] != "train":
            continue
        number = int(exchange["round"])
        for client in range(clients):
            who = str(client)
            up = exchange["bytes_up"].get(who, 0)
            asked = who in exchange["bytes_down"]
            state = "trained" if up > _EMPTY else "dropped" if asked else "not asked"
            if state == "trained" and (number, who) in rejected:
                state = "rejected"
            loss = losses.get((number, who)) if state == "trained" else None
            down = exchange["bytes_down"].get(who, 0)
            rows[number, client] = {
                "round": number, "client": client, "state": state, "loss": loss, "bytes_down": down, "bytes_up": up,
            }  # fmt: skip
    return list(rows.values())


def losses_of(events: Iterable[Plain]) -> dict[tuple[int, str], float]:
    """The loss that each client reported in each round, from a run's history."""
    return {
        (exchange["round"], client): loss
        for exchange in heard(events)
        if exchange["kind"] == "train"
        for client, loss in exchange["loss"].items()
    }


def race_rows(result: Plain, label: str) -> list[Row]:
    """One row a rung and group of a run: accuracy in per cent with its 95 % interval, after rounds, seconds and bytes."""
    totals = {"forgotten": result["images"]["test_forget"], "retained": result["images"]["test"]}
    keys = {"forgotten": "forget_test_accuracy", "retained": "retain_test_accuracy"}
    rows = []
    for rung in result["ladder"]:
        for group, key in keys.items():
            if rung[key] is None:
                continue
            ends = wilson(Tally.nearest(rung[key], totals[group]))
            rows.append(
                {
                    "run": label,
                    "rung": rung["rung"],
                    "group": group,
                    "rounds": round_of(rung["rung"]),
                    "seconds": rung["seconds"],
                    "megabytes": rung["bytes"] / 1e6,
                    "accuracy": 100 * rung[key],
                    "low": 100 * ends.low,
                    "high": 100 * ends.high,
                }
            )
    return rows


def round_of(rung: str) -> int:
    """The rounds behind a rung: none before the first."""
    number = rung.rpartition(" ")[2]
    return int(number) if number.isdigit() else 0


def arrival(result: Plain) -> Plain | None:
    """The first rung after a round at which unlearning has got there; None where it never does."""
    goal = result["before"]["retain_test_accuracy"] - SLACK
    for rung in result["ladder"]:
        kept, gone = rung["retain_test_accuracy"], rung["forget_test_accuracy"]
        if round_of(rung["rung"]) and kept >= goal and gone is not None and gone <= GONE:
            return dict(rung)
    return None


def first_to_keep(result: Plain, accuracy: float) -> Plain | None:
    """The first rung after a round whose kept classes reach an accuracy; None where none does."""
    rungs = [r for r in result["ladder"] if round_of(r["rung"]) and r["retain_test_accuracy"] >= accuracy]
    return dict(rungs[0]) if rungs else None


def speed_up(unlearned: Plain, retrained: Plain) -> Row | None:
    """How many times as many rounds, seconds and bytes retraining needs for the kept accuracy that unlearning has.

    None where unlearning never gets there, or retraining had no round. Where retraining doesn't reach it, its whole run
    counts and `reached` is False: the ratios are then lower bounds.
    """
    ours = arrival(unlearned)
    if ours is None or not retrained["ladder"]:
        return None
    theirs = first_to_keep(retrained, ours["retain_test_accuracy"])
    end = theirs or dict(retrained["ladder"][-1])
    return {
        "ours": ours,
        "theirs": end,
        "reached": theirs is not None,
        "rounds": round_of(end["rung"]) / round_of(ours["rung"]),
        "seconds": end["seconds"] / ours["seconds"],
        "bytes": end["bytes"] / ours["bytes"],
    }


def race_sentence(unlearned: Plain, retrained: Plain) -> str:
    """What the race came to, in a sentence."""
    names = listed([quoted(name) for name in unlearned["forget"]["classes"]])
    found = speed_up(unlearned, retrained)
    if found is None and not retrained["ladder"]:
        return "Retraining had no round, so there is no speed-up to state."
    if found is None:
        return (
            f"Unlearning did not get there: after no round were the kept classes within {figure(SLACK, 0)} point of the "
            f"original and {names} at {percent(GONE, 0)} or below, so there is no speed-up to state."
        )
    ours, theirs = found["ours"], found["theirs"]
    least = "" if found["reached"] else "more than "
    needed = "needed" if found["reached"] else "did not reach that in"
    return (
        f"Unlearning keeps {percent(ours['retain_test_accuracy'])} on the other classes, with {names} at "
        f"{percent(ours['forget_test_accuracy'])}, after {_cost(ours)}; retraining {needed} {_cost(theirs)}: "
        f"{least}{found['rounds']:.1f} times the rounds, {found['seconds']:.1f} times the seconds, "
        f"{found['bytes']:.1f} times the bytes."
    )


def _cost(rung: Plain) -> str:
    return f"{counted(round_of(rung['rung']), 'round')}, {seconds(rung['seconds'])} and {size(rung['bytes'])}"
