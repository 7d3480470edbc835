"""The columns of the table of methods: what each is called and means, and what a cell holds, says and sorts by."""

import math

from unlearn_core.experiments.pairing import AVERAGE
from unlearn_core.experiments.table import Row
from unlearn_core.intervals import Mean
from unlearn_core.results.closeness import MEASURES
from unlearn_core.words import figure

PAPER = ("ua", "mia", "ra", "ta", AVERAGE, "seconds", "share")
MORE = (
    "tow",
    "tow_mia",
    "share_same",
    "epochs",
    "preparing",
    "sparsifying",
    "forget_test",
    "js forget",
    "js retain",
    "js test",
    "agreement forget",
    "agreement retain",
    "agreement test",
    "mia_privacy",
    "loss_attack",
)
LABELS = {
    "ua": "UA, %",
    "mia": "MIA-efficacy, %",
    "ra": "RA, %",
    "ta": "TA, %",
    AVERAGE: "Avg. gap",
    "seconds": "RTE, s",
    "share": "RTE, % of retraining",
    "tow": "ToW, %",
    "tow_mia": "ToW-MIA, %",
    "share_same": "RTE, % of retraining to the same TA",
    "epochs": "RTE, epochs of FT",
    "preparing": "of these preparing, s",
    "sparsifying": "before: making it sparse, s",
    "forget_test": "Forgotten, test, %",
    "js forget": "JS, forget set",
    "js retain": "JS, retain set",
    "js test": "JS, test set",
    "agreement forget": "Same answers, forget set, %",
    "agreement retain": "Same answers, retain set, %",
    "agreement test": "Same answers, test set, %",
    "mia_privacy": "MIA-privacy, %",
    "loss_attack": "Loss attack, %",
}
HELP = {
    "ua": "Unlearning accuracy: share of the images to forget that are answered wrongly. The aim is what retraining gives: near "
    "100 % for a whole class, far less for a random share.",
    "mia": "Share of the images to forget that the membership attack (SVM on the confidence in the true class) takes for never "
    "trained on. The aim is what retraining gives.",
    "ra": "Remaining accuracy: on the training images to keep.",
    "ta": "Testing accuracy: on test images of the classes to keep.",
    AVERAGE: "Mean distance to retraining in UA, MIA-efficacy, RA and TA, in points; run time is no part of it. Taken seed by "
    "seed, so never smaller than the papers' distance of means.",
    "seconds": "Run-time efficiency: everything that the method itself needed. Making a model sparse beforehand is no part of "
    "it; that time has a column of its own (All measures).",
    "share": "Its seconds by those of full retraining.",
    "tow": "Tug of war: (1 − gap in UA) (1 − gap in RA) (1 − gap in TA); 100 is retraining.",
    "tow_mia": "Tug of war with MIA-efficacy for UA.",
    "share_same": "Its seconds by those that retraining took to reach the same testing accuracy; empty where it never did.",
    "epochs": "Its seconds by those of one epoch of fine-tuning on the same model.",
    "preparing": "Of methods that prune channels: the seconds until these were pruned, before fine-tuning.",
    "sparsifying": "Seconds that making the model sparse took before the method began: the mask, and training under it. Paid "
    "once for all that is unlearned from it, so it is no part of RTE.",
    "forget_test": "Test accuracy on the forgotten classes.",
    **dict.fromkeys(
        ("js forget", "js retain", "js test"),
        "Mean Jensen-Shannon divergence to the retrained model's answers, natural log: 0 is the same, 0.69 the most.",
    ),
    **dict.fromkeys(
        ("agreement forget", "agreement retain", "agreement test"),
        "Share of images that it answers like the retrained model.",
    ),
    "mia_privacy": "How often the attack tells retained from test images; 50 is guessing.",
    "loss_attack": "How often the loss tells the forget set from unseen images; 50 is ideal.",
}
_TIMES = ("seconds", "preparing", "sparsifying")
TIMED = ("seconds", "share", "share_same", "epochs")


def number_in(row: Row, name: str) -> float | None:
    """What a column sorts by: per cent for shares, seconds, or a plain number."""
    if name.startswith(("js ", "agreement ")):
        kind, _, images = name.partition(" ")
        value = getattr(row, kind).get(images)
        return value if value is None or kind == "js" else 100 * value
    if name in ("share", "share_same", "epochs"):
        value = getattr(row, name)
        return value if value is None or name == "epochs" else 100 * value
    known = interval_in(row, name)
    if known is None or not known.count:
        return None
    return known.estimate if name in _TIMES else 100 * known.estimate


def interval_in(row: Row, name: str) -> Mean | None:
    if name in ("tow", "tow_mia"):
        known: Mean = getattr(row, name)
        return known
    return row.gaps.get(name) if name == AVERAGE else row.values.get(name)


def text_in(row: Row, name: str, intervals: bool) -> str:
    """A cell as the papers print it: mean ± 95 % (gap to retraining)."""
    number = number_in(row, name)
    if number is None:
        return "–"
    half = _half(interval_in(row, name)) if intervals else None
    scale = 1 if name in _TIMES else 100
    sure = "" if half is None else f" ± {half * scale:.2g}"
    gap = row.gaps.get(name) if name in MEASURES and row.kind != "reference" else None
    return f"{_figure(name, number)}{sure}{'' if gap is None else f' ({figure(gap.estimate)})'}"


def _figure(name: str, number: float) -> str:
    if name.startswith("js "):
        return f"{number:.4f}"
    if name == AVERAGE or name.startswith("tow"):
        return f"{number:.2f}"
    times = name in _TIMES or name in ("share", "share_same", "epochs")
    digits = ".2g" if number < 1 else ".3g" if number < 10 else ".1f"
    return f"{number:{digits}}" if times else f"{number:.1f}"


def _half(known: Mean | None) -> float | None:
    return known.high - known.estimate if known is not None and known.count > 1 else None


def distance_in(row: Row, name: str) -> float | None:
    """How far a cell lies from the best: from retraining, or for times from none; None where nobody knows."""
    if name in row.gaps:
        return row.gaps[name].estimate
    if name in ("tow", "tow_mia"):
        known: Mean = getattr(row, name)
        return 1 - known.estimate if known.count else None
    if name in TIMED:
        value = number_in(row, name)
        return None if value is None else math.log(max(value, 1e-3))
    if name.startswith("js "):
        return row.js.get(name.partition(" ")[2])
    if name.startswith("agreement "):
        value = row.agreement.get(name.partition(" ")[2])
        return None if value is None else 1 - value
    return None
