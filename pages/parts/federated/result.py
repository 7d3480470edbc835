"""The tabs of a finished federated run: protocol, race, averaging, privacy, events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import charts, selection, start
from pages.parts.before_after.tabs import QUIET, TONES
from pages.parts.downloads import table_behind
from pages.parts.federated import live, picture
from pages.parts.federated import runs as federated_runs
from pages.parts.federated.form import ROUNDS
from pages.parts.text import md
from unlearn_core.plots import race as races
from unlearn_core.results import federation as rounds
from unlearn_core.results import holdings
from unlearn_core.results.claims import against_random, came_back
from unlearn_core.results.loading import result_from
from unlearn_core.results.result import Forgetting
from unlearn_core.running.orders import Order
from unlearn_core.running.words import title_of
from unlearn_core.store.runs import RunRecord
from unlearn_core.words import counted, duration, percent, size

_UNITS = {"rounds": "Rounds", "seconds": "Seconds", "megabytes": "Bytes"}
_SURVIVED = {
    "dropped": "missing answers",
    "rejected": "rejected answers",
    "sum failed": "secure sums that broke off, tried again",
    "round failed": "rounds too few answered, tried again",
}

_NO_STATISTICS = "Only unlearning reports statistics and makes a plan; pick an unlearning run above."
_AGAINST_RETURN = "A larger ratio (three tenths, the default) kept it away on digits."
_LEAVES = (
    "Besides the statistics, a client sends how many images it holds and how many of them are of kept classes (the "
    "difference is its count of the classes to forget), its trained weights and the last batch's loss each round, and at "
    "the end how many of its images the model classifies rightly."
)


@dataclass(frozen=True)
class Shown:
    """A finished run.

    Attributes:
        record: The run.
        result: Its plain result.
    """

    record: RunRecord
    result: dict[str, Any]

    @property
    def outcome(self) -> Forgetting:
        """The result with its type."""
        result = result_from(self.result)
        assert isinstance(result, Forgetting)
        return result

    @property
    def federation(self) -> dict[str, Any]:
        """What the federation did."""
        told: dict[str, Any] = self.result["federation"]
        return told

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names."""
        return tuple(self.result["after"]["classes"])

    @property
    def forget(self) -> list[int]:
        """Indices of the classes to forget."""
        return [int(k) for k in self.result["after"]["forget_classes"]]

    def asked(self, name: str) -> Any:
        """A setting of the run; None where it was made before there was such a setting."""
        return self.record.request["settings"].get(name)

    @property
    def held(self) -> holdings.Held:
        """Images of each class at each client, (M, K)."""
        return holdings.held_of(self.federation["holdings"])

    @property
    def scored(self) -> holdings.Held:
        """Those of them that a client scores, (M, K)."""
        return holdings.scored(self.held, self.result["params"].get("images_per_class", 0))


def opened(record: RunRecord | None) -> Shown | None:
    """A run with its result; None where there is no run, or its files are damaged."""
    result = federated_runs.result_of(record) if record is not None else None
    return Shown(record, result) if record is not None and result is not None else None


def protocol(run: Shown) -> None:
    """The diagram with the run's numbers, and who trained in which round."""
    told = run.federation
    exchanges, clients = told["exchanges"], told["clients"]
    count = int(run.record.request["settings"].get("rounds", 0))
    plan = run.result["plan"]
    rows = rounds.protocol(run.result["action"], exchanges, clients, count, plan, ended=True)
    live.protocol(rows, clients, f"protocol {run.record.id}")
    _traffic(run)
    losses = rounds.losses_of(live.told_by(run.record))
    cells = rounds.cells(exchanges, told["events"], clients, losses)
    if cells:
        live.participation(cells, f"rounds {run.record.id}")
        table_behind(cells, "rounds_and_clients", formats={"loss": "%.4f"})
    if not run.asked("superlink"):
        with st.expander("Who held what"):
            picture.draw(run.held, run.classes, run.forget, "of_run")


def _traffic(run: Shown) -> None:
    told = run.federation
    images = sum(told["image_bytes"])
    columns = st.columns(4)
    columns[0].metric("Sent in all", size(told["bytes_down"] + told["bytes_up"]), **QUIET)
    columns[1].metric("Most of a client", size(told["most_bytes_of_a_client"]), **QUIET)
    stats = sum(sum(e["bytes_up"].values()) for e in told["exchanges"] if e["kind"] == "stats")
    if stats:
        columns[2].metric("Statistics, all clients", size(stats), **QUIET)
    columns[3].metric("The images themselves", size(images), **QUIET)


def race(run: Shown, records: list[RunRecord]) -> None:
    """Accuracy over rounds, seconds or bytes, beside retraining and random channels on the same federation."""
    if run.result["action"] == "train":
        _course({"Training": run})
    elif federated_runs.is_control(run.record):
        st.info("This run drew its channels at random: it says what the scores of another run are worth.")
        _course({"Random channels": run})
    else:
        _compared(run, records)


def _compared(run: Shown, records: list[RunRecord]) -> None:
    other = opened(federated_runs.counterpart(run.record, records))
    sides = {side.result["action"]: side for side in (run, other) if side is not None}
    if other is not None:
        st.markdown(f"**{md(rounds.race_sentence(sides['unlearn'].result, sides['retrain'].result))}**")
    else:
        _offer(run)
    ours = sides.get("unlearn")
    drawn = opened(federated_runs.control(ours.record, records)) if ours is not None else None
    if ours is not None:
        _say_if_back(ours)
        _say_what_scores_are_worth(ours, drawn)
    courses = {
        "Unlearning": ours,
        "Retraining": sides.get("retrain"),
        "Random channels": drawn,
    }
    _course({label: side for label, side in courses.items() if side is not None})


def _say_what_scores_are_worth(run: Shown, drawn: Shown | None) -> None:
    if drawn is None:
        _offer_control(run)
        return
    verdict = against_random(run.outcome.after, drawn.outcome.after)
    st.markdown(f"{TONES[verdict.tone]} {md(verdict.text)}")


def _say_if_back(run: Shown) -> None:
    back = came_back(run.outcome) if run.result["action"] == "unlearn" else ""
    if back:
        st.warning(md(f"{back} {_AGAINST_RETURN}"))


def _course(runs: Mapping[str, Shown]) -> None:
    """The chart of the runs by their labels, the first one foremost."""
    unit = st.segmented_control(
        "Along the axis", list(_UNITS), default="rounds", format_func=_UNITS.get, key="federated unit", required=True,
        persist_state="session",
    )  # fmt: skip
    rows = [row for label, run in runs.items() for row in rounds.race_rows(run.result, label)]
    if not rows:
        st.info("This run tested nothing on the way: it had no round.")
        return
    st.altair_chart(charts.inked(races.race(rows, unit)), width="stretch", key=f"race {unit}")
    st.caption(
        "✕ forgotten classes · ● kept classes · solid: the first run, with 95 % intervals; dashed: others · test images "
        "at the server · the clock stands still while it tests · bytes: content, both ways."
    )
    table_behind(rows, "race")


def _offer(run: Shown) -> None:
    """What is missing on the axis, and the button that starts it."""
    retrains = run.result["action"] == "unlearn"
    what = "Retraining without the class" if retrains else "Unlearning"
    st.info(f"{what} has not been run on this federation yet, so there is nothing to compare with.")
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    count = left.number_input(
        "Rounds", 1, 10_000, ROUNDS["retrain" if retrains else "unlearn"], key="federated reference rounds"
    )
    settings = {
        **run.record.request["settings"],
        "action": "retrain" if retrains else "unlearn",
        "rounds": int(count),
    }
    params = run.record.request.get("params", {})
    shared = {name: params[name] for name in federated_runs.SHARED if name in params}
    told = f"{'Retrain without' if retrains else 'Forget'} {settings['forget'].replace(',', ', ')}"
    name = f"{told} · {settings['clients']} clients, {settings['partition']}"
    with right:
        order = Order("federated", {"settings": settings, "params": shared}, run.record.device, name)
        start.button("Run it now", lambda nonce: [order], "federated reference")


def _offer_control(run: Shown) -> None:
    """The button that repeats a run with channels drawn at random, as few rounds without the class may forget it alone."""
    left, right = st.columns([2, 1], vertical_alignment="center")
    left.caption(
        "Would any channels have done? The rounds train without the class, and may forget it by themselves."
    )
    # The values that the run had, not today's defaults.
    request = {**run.record.request, "params": {**run.result["params"], "direction": "random"}}
    order = Order("federated", request, run.record.device, f"Random channels · {title_of(run.record)}")
    with right:
        start.button(
            "Same with random channels", lambda nonce: [order], "federated control", kind="secondary"
        )


def averaging(run: Shown) -> None:
    """What the paper's plain average does to the plan, class by class."""
    told = run.federation.get("agreement")
    if not _has_agreement(run, told):
        return
    partition = run.federation["partition"]
    st.markdown(
        md(
            f"On this partition ({partition}), a plan from the paper's plain average, in which every client counts alike "
            f"and a class that it lacks counts as zero, shares {_percent(told['plain'])} of the {told['channels']} channels "
            f"with the plan of the exact statistics; random channels would share {_percent(told['chance'])}. Added by "
            "their counts, the clients' statistics are the exact ones."
        )
    )
    chart = races.agreement_by_class(told["plain_by_class"], run.classes, set(run.forget), told["chance"])
    st.altair_chart(charts.inked(chart), width="stretch", key="plain by class")
    st.caption(
        "For each class, had it been the one to forget: the share of the exact plan's channels that the plain average's plan "
        "prunes too. ✕ the classes of this run · dashed: random channels."
    )
    rows = [
        {"class": name, "agreement": None if a is None else 100 * a}
        for name, a in zip(run.classes, told["plain_by_class"], strict=True)
    ]
    table_behind(rows, "plain_average")


def privacy(run: Shown) -> None:
    """What the statistics gave away, and what protecting them costs the plan."""
    if run.result["action"] != "unlearn":
        st.info(_NO_STATISTICS)
        return
    told, asked = run.federation.get("agreement"), run.federation["privacy"]
    hidden, share = holdings.unreported(run.scored, asked["k"])
    columns = st.columns(4)
    columns[0].metric("Floor k", counted(asked["k"], "image"), **QUIET)
    if not run.asked("superlink"):
        columns[1].metric("Images unreported", f"{hidden:,} · {percent(share)}", **QUIET)
    columns[2].metric("Epsilon", f"{asked['epsilon']:g}" if asked["epsilon"] else "none", **QUIET)
    if told and not federated_runs.is_control(run.record):
        columns[3].metric("Agreement of the plan", _percent(told["run"]), **QUIET)
    if run.asked("secure"):
        st.markdown(
            "Secure aggregation: the server saw the sum over all clients, and no client's own statistics."
        )
    elif not run.asked("superlink"):
        st.markdown(md(_given_away(asked, holdings.smallest_reported(run.scored, asked["k"]))))
    st.markdown(_LEAVES)
    if not _has_agreement(run, told):
        return
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Floor k: smaller classes stay unreported**")
        chart = races.agreement_over(told["floors"], "k", "floor k", float(asked["k"]), told["chance"])
        st.altair_chart(charts.inked(chart), width="stretch", key="floors")
        cut = [f["k"] for f in told["floors"] if f["agreement"] is None]
        st.caption(
            f"From k = {cut[0]} on too few images of the class are left to plan at all."
            if cut
            else "No floor tried leaves too little."
        )
        table_behind(_percents(told["floors"]), "floors")
    with right:
        st.markdown("**Noise: (ε, δ) for one image in a client's report**")
        own = asked["epsilon"] or None
        chart = races.agreement_over(told["epsilons"], "epsilon", "epsilon", own, told["chance"])
        st.altair_chart(charts.inked(chart), width="stretch", key="epsilons")
        st.caption(
            f"Mean, lowest and highest of {told['draws']} draws · clipped at {told['clip']:g} · δ = {asked['delta']:g}."
        )
        table_behind(_percents(told["epsilons"]), "epsilons")
    st.caption(
        "Measured on this machine, which holds all clients' images; a real server can't compare with the exact plan."
    )


def _given_away(asked: dict[str, Any], smallest: int | None) -> str:
    if asked["epsilon"]:
        return (
            f"Each client's report is ({asked['epsilon']:g}, {asked['delta']:g})-differentially private for one of its "
            "images; the model updates are not."
        )
    if smallest is None:
        return "No client reported any class."
    told = f"The smallest class that a client reported has {counted(smallest, 'image')}."
    if smallest == 1:
        return f"{told} The mean over one image is that image's signature: who has the image can tell that it was there."
    return f"{told} The fewer images a mean is over, the better somebody can tell whether a certain image was among them."


def events(run: Shown) -> None:
    """Who dropped out or was rejected, and why; and the run's notes."""
    told = run.federation["events"]
    if told:
        counts = {words: sum(e["event"] == kind for e in told) for kind, words in _SURVIVED.items()}
        st.markdown(md(f"The run survived {', '.join(f'{n} {words}' for words, n in counts.items() if n)}."))
        rows = [
            {
                "round": e["round"] or "",
                "client": e.get("client", ""),
                "event": e["event"],
                "reason": e["reason"],
            }
            for e in told
        ]
        st.dataframe(pd.DataFrame(rows).astype(str), hide_index=True)
        table_behind(rows, "events")
    else:
        st.success("Every client answered every question, and no answer was rejected.")
    for note in run.result["notes"]:
        st.markdown(f"- {md(note)}")


def summary(run: Shown) -> str:
    """Where the numbers come from, for the head of the page."""
    told = run.federation
    sent = size(told["bytes_down"] + told["bytes_up"])
    return (
        f"{told['clients']} clients, {told['partition']} · {sent} sent, no image · {duration(run.result['seconds'])} of work "
        f"· {run.result['inputs']['model']} on {run.result['inputs']['data']}"
    )


def links(run: Shown) -> None:
    """Where the resulting model opens."""
    with st.container(horizontal=True):
        if run.result["action"] != "train":
            selection.link("pages/before_after.py", "See before and after", a="", b=run.record.id)
            if not run.asked("superlink"):
                selection.link("pages/audit.py", "Attack it", b=run.record.id)
        selection.link("pages/runs.py", "All runs, files and commands")
    if run.asked("superlink"):
        st.caption(
            "There is nothing to see of this model in Audit: its attack needs answers on the training images, which stay at "
            "the clients."
        )


def _has_agreement(run: Shown, told: dict[str, Any] | None) -> bool:
    if federated_runs.is_control(run.record):
        st.info("The channels of this run were drawn at random: its statistics play no part in its plan.")
        return False
    if told:
        return True
    if run.result["action"] != "unlearn":
        st.info(_NO_STATISTICS)
    elif run.asked("superlink"):
        st.info("The images lie at the clients alone, so there is no exact plan to compare with.")
    else:
        st.info(
            "This run's plan was not compared with the exact one: its clients' statistics take too much memory, or too few "
            "images of the class were left."
        )
    return False


def _percents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shares = {"agreement", "low", "high", "hidden"}
    return [{k: 100 * v if k in shares and v is not None else v for k, v in r.items()} for r in rows]


def _percent(share: float | None) -> str:
    return "no plan" if share is None else percent(share, 0)
