"""Trials as the rows of a table: seeds put together, each row measured by retraining, and by how sure retraining itself is."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from unlearn_core.experiments.grouping import grouped, key_of, level_of
from unlearn_core.experiments.pairing import (
    AVERAGE,
    Floor,
    floor_of,
    is_reference,
    measures_of,
    paired,
    references,
    same_clients,
    same_mask,
)
from unlearn_core.experiments.trial import Trial, is_control
from unlearn_core.intervals import Mean, student
from unlearn_core.results.closeness import MEASURES, to_retrain, within_floor

MEASURED = (*MEASURES, "forget_test", "mia_privacy", "loss_attack", "seconds", "preparing", "sparsifying")
"""What a row has the mean of over its seeds."""

Known = Mapping[str, Mean]

_NO_FLOOR: Floor = dict.fromkeys((*MEASURES, AVERAGE))


@dataclass(frozen=True)
class Row:
    """One method with one setting on one model, over its seeds. Shares in [0, 1]; None or no entry for what is unknown.

    Attributes:
        key: Short and stable, for addresses and widgets.
        method: Name in the registry of methods; `original` for the untouched model.
        kind: `reference` (what others are measured by), `method` or `control`.
        params: The settings.
        changed: Those in which it differs from other rows of the same method.
        chosen: How they were chosen; empty where there are none.
        sparsity: Share of the convolutions' weights that the model it began with lacks.
        sparsifier: How these were chosen.
        stored: Where it was measured, if not here.
        trials: One a seed, by seed.
        values: Of each of `MEASURED`, the mean over the seeds with its 95 % interval.
        gaps: Of each measure, the mean distance to the retrained model of the same seed; of all four, `avg_gap`.
            The papers give the distance of the means: never larger, and 0 for two methods that are off to both sides.
        signed: Of each measure, the mean of value less retraining's value.
        tow: Tug of war; 1 is retraining itself.
        tow_mia: The same with MIA efficacy for unlearning accuracy.
        js: Mean Jensen-Shannon divergence to retraining by image set, natural log.
        agreement: Share of images answered like retraining, by image set.
        reference: Key of the row that it is measured by; empty where there is none.
        remarks: What that reference has otherwise: another seed, another sparsity, another machine.
        floor: How far retraining without the same images lies from itself over seeds, by measure and on average.
        inside: Measures, and `avg_gap`, whose gap is no larger than the floor.
        share: Its seconds by those of full retraining.
        share_same: Its seconds by those that retraining took to reach the same testing accuracy.
        epochs: Its seconds by those of one epoch of fine-tuning on the same model.

    Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934 (measures, average
    gap, run time); Zhao et al., NeurIPS 2024, arXiv 2406.01257 (ToW).
    """

    key: str
    method: str
    kind: str
    params: Mapping[str, Any]
    changed: Mapping[str, Any]
    chosen: str
    sparsity: float
    sparsifier: str
    stored: str
    trials: tuple[Trial, ...]
    values: Known
    gaps: Known
    signed: Mapping[str, float | None]
    tow: Mean
    tow_mia: Mean
    js: Mapping[str, float]
    agreement: Mapping[str, float]
    reference: str
    remarks: tuple[str, ...]
    floor: Floor
    inside: frozenset[str]
    share: float | None
    share_same: float | None
    epochs: float | None

    @property
    def gap(self) -> float | None:
        """The average gap; None where it is unknown."""
        known = self.gaps.get(AVERAGE)
        return known.estimate if known else None


def table(trials: Sequence[Trial]) -> list[Row]:
    """The rows of one scenario: what they are measured by first, then by average gap, unknown ones last.

    Trials of a stored study keep rows of their own: their seconds are another machine's.
    """
    groups = grouped(trials)
    retrained = references(groups)
    epochs = _seconds_an_epoch(groups.values())
    changed = _changed(groups)
    rows = [
        _row(key, members, retrained, changed[key], epochs.get(_clock(members[0])))
        for key, members in groups.items()
    ]
    return sorted(rows, key=_order)


def _row(
    key: str,
    members: Sequence[Trial],
    retrained: Sequence[Trial],
    changed: Mapping[str, Any],
    epoch: float | None,
) -> Row:
    first = members[0]
    pairs = [(t, p) for t in members if (p := paired(t, retrained)) is not None]
    near = [to_retrain(measures_of(t), measures_of(p)) for t, p in pairs]
    gaps = {
        **{name: _known([getattr(n.gaps, name) for n in near]) for name in MEASURES},
        AVERAGE: _known([n.avg_gap for n in near]),
    }
    gaps = {name: known for name, known in gaps.items() if known.count}
    floor = floor_of(pairs[0][1], retrained) if pairs else _NO_FLOOR
    values = {name: _known([getattr(t, name) for t in members]) for name in MEASURED}
    seconds = values["seconds"].estimate if values["seconds"].count else None
    kind = _kind(first.method, [t is p for t, p in pairs])
    return Row(
        key=key,
        method=first.method,
        kind=kind,
        params=first.params,
        changed=changed,
        chosen=next((t.chosen for t in members if t.chosen), ""),
        sparsity=first.sparsity,
        sparsifier=first.sparsifier,
        stored=first.stored,
        trials=tuple(members),
        values={name: known for name, known in values.items() if known.count},
        gaps=gaps,
        signed={name: _mean([_less(getattr(t, name), getattr(p, name)) for t, p in pairs]) for name in MEASURES},
        tow=_known([n.tow for n in near]),
        tow_mia=_known([n.tow_mia for n in near]),
        js=_by_set([t.js for t in members]),
        agreement=_by_set([t.agreement for t in members]),
        reference=key_of(pairs[0][1]) if pairs else "",
        remarks=_remarks(pairs),
        floor=floor,
        inside=frozenset(n for n, g in gaps.items() if within_floor(g.estimate, floor[AVERAGE] if n == AVERAGE else floor[n])),
        share=_ratio(pairs, lambda t, p: p.seconds),
        share_same=None if kind == "reference" else _ratio(pairs, lambda t, p: _reached(p, t.ta)),
        epochs=seconds / epoch if seconds is not None and epoch else None,
    )  # fmt: skip


def _kind(method: str, own: Sequence[bool]) -> str:
    """A retraining that is measured by another one, as with settings of somebody's own, is a method like any other."""
    if is_reference(method) and own and all(own):
        return "reference"
    return "control" if is_control(method) else "method"


def _remarks(pairs: Sequence[tuple[Trial, Trial]]) -> tuple[str, ...]:
    remarks = {
        "retraining in one place": any(t.federated and not p.federated for t, p in pairs),
        "retraining by other clients": any(p.federated and not same_clients(t, p) for t, p in pairs),
        "dense retraining": any(not same_mask(t, p) for t, p in pairs),
        "another seed": any(t.seed != p.seed for t, p in pairs),
        "its seconds are another machine's": any(t.stored != p.stored for t, p in pairs),
    }
    return tuple(text for text, true in remarks.items() if true)


def _changed(groups: Mapping[str, Sequence[Trial]]) -> dict[str, dict[str, Any]]:
    """Of each row, the settings in which the rows of its method differ."""
    by_method: dict[str, list[Mapping[str, Any]]] = {}
    for members in groups.values():
        by_method.setdefault(members[0].method, []).append(members[0].params)
    differing = {method: _differing(all_params) for method, all_params in by_method.items()}
    return {
        key: {name: m[0].params[name] for name in differing[m[0].method] if name in m[0].params}
        for key, m in groups.items()
    }


def _differing(params: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for p in params for name in p)
    return [name for name in names if len({json.dumps(p.get(name)) for p in params if p}) > 1]


def _seconds_an_epoch(groups: Iterable[Sequence[Trial]]) -> dict[tuple[Any, ...], float]:
    """Seconds of one epoch of fine-tuning, by model and machine."""
    by_clock: dict[tuple[Any, ...], list[float]] = {}
    for trial in (t for members in groups for t in members if t.method == "fine_tune"):
        epochs = trial.params.get("epochs")
        if trial.seconds and epochs:
            by_clock.setdefault(_clock(trial), []).append(trial.seconds / epochs)
    return {clock: fmean(seconds) for clock, seconds in by_clock.items()}


def _clock(trial: Trial) -> tuple[Any, ...]:
    return trial.stored, *level_of(trial)


def _ratio(
    pairs: Sequence[tuple[Trial, Trial]], denominator: Callable[[Trial, Trial], float | None]
) -> float | None:
    """Mean seconds by the mean of a denominator; None where one of them is unknown."""
    above, below = _mean([t.seconds for t, _ in pairs]), _mean([denominator(t, p) for t, p in pairs])
    return above / below if above is not None and below else None


def _reached(retrained: Trial, accuracy: float | None) -> float | None:
    """Seconds after which retraining first had a testing accuracy; None where it never had."""
    if accuracy is None:
        return None
    return next((seconds for seconds, share in retrained.course if share >= accuracy), None)


def _by_set(values: Sequence[Mapping[str, float] | None]) -> dict[str, float]:
    """The mean by image set over the trials where it was measured."""
    known = [v for v in values if v]
    names = dict.fromkeys(name for v in known for name in v)
    by_name = {name: [v[name] for v in known if v.get(name) is not None] for name in names}
    return {name: fmean(shares) for name, shares in by_name.items() if shares}


def _order(row: Row) -> tuple[Any, ...]:
    gap = row.gap
    if row.kind == "reference":
        # The one that says most about noise first: others of the same sparsity repeat it.
        return 0, row.sparsity, -len(row.trials), row.stored
    return 1, gap is None, gap or 0.0


def _known(values: Sequence[float | None]) -> Mean:
    return student([v for v in values if v is not None])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _less(mine: float | None, theirs: float | None) -> float | None:
    return None if mine is None or theirs is None else mine - theirs
