"""Published tables as data, and our rows beside them: the signs and the order of the gaps, never the values.

Two papers of the same lab give fine-tuning's UA in the same cell as 6.83 % and as 0.63 %: the learning rate decides. So a
published value is no target; which way a method is off, and which method is closer, can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unlearn_core.experiments.pairing import AVERAGE
from unlearn_core.experiments.table import Row
from unlearn_core.results.closeness import MEASURES
from unlearn_core.unlearning.registry import REFERENCE

SETTING = "CIFAR-10, ResNet-18"
"""What all of them were measured on."""
FINE_TUNING_EPOCHS = 10
"""Of fine-tuning in both papers' released recipes; their minutes agree: a tenth of 2.5 is a 172nd of 43."""


@dataclass(frozen=True)
class Published:
    """A line of a published table; per cent, run time in minutes.

    Attributes:
        paper: Authors and venue.
        scenario: `class`, `10 %` or `50 %`.
        sparsity: Of the model before unlearning: 0 or 0.95.
        method: Name in the registry of methods.
        values: UA, MIA efficacy, RA and TA.
        deviations: Their standard deviations.
        avg_gap: Average gap to retraining as printed.
        minutes: Run time; of a sparse model, the paper prints the one number for both.
    """

    paper: str
    scenario: str
    sparsity: float
    method: str
    values: dict[str, float]
    deviations: dict[str, float]
    avg_gap: float
    minutes: float


@dataclass(frozen=True)
class Beside:
    """A method in a published table and here. Signed gaps to each one's own retraining, in points; None where unknown.

    Attributes:
        line: What was published.
        row: Ours.
        theirs: Published value less published retraining, by measure.
        ours: The same here.
        agrees: By measure, whether both are off to the same side; None where either shows no gap.
    """

    line: Published
    row: Row
    theirs: dict[str, float]
    ours: dict[str, float | None]
    agrees: dict[str, bool | None]


SPARSE_MU = "Jia et al., NeurIPS 2023"
SALUN = "Fan et al., ICLR 2024"

# UA ±, MIA ±, RA ±, TA ±, average gap, minutes.
_Numbers = tuple[float, ...]
_TABLES: dict[tuple[str, str, float], dict[str, _Numbers]] = {
    (SPARSE_MU, "class", 0.0): {
        "retrain": (100.00, 0.00, 100.00, 0.00, 100.00, 0.00, 94.83, 0.11, 0.00, 43.23),
        "fine_tune": (22.53, 8.16, 75.00, 14.68, 99.87, 0.04, 94.31, 0.19, 25.78, 2.52),
        "gradient_ascent": (93.08, 2.29, 94.03, 3.27, 92.60, 0.25, 86.64, 0.28, 7.12, 0.33),
        "fisher": (79.93, 8.92, 100.00, 0.00, 99.45, 0.24, 94.18, 0.08, 5.32, 38.91),
        "influence": (87.82, 2.15, 95.96, 0.21, 97.98, 0.21, 91.42, 0.21, 5.41, 3.25),
    },
    (SPARSE_MU, "class", 0.95): {
        "retrain": (100.00, 0.00, 100.00, 0.00, 99.99, 0.01, 91.80, 0.89, 0.00, 43.23),
        "fine_tune": (73.64, 9.46, 83.02, 16.33, 99.87, 0.05, 94.32, 0.12, 11.50, 2.52),
        "gradient_ascent": (98.09, 1.11, 97.74, 2.24, 87.74, 0.27, 82.58, 0.27, 6.41, 0.33),
        "fisher": (94.83, 4.29, 100.00, 0.00, 99.48, 0.33, 94.04, 0.10, 1.98, 38.91),
        "influence": (99.47, 0.15, 99.93, 0.04, 97.24, 0.13, 90.76, 0.18, 1.10, 3.25),
    },
    (SPARSE_MU, "10 %", 0.0): {
        "retrain": (5.41, 0.11, 13.12, 0.14, 100.00, 0.00, 94.42, 0.09, 0.00, 42.15),
        "fine_tune": (6.83, 0.51, 14.97, 0.62, 96.61, 0.25, 90.13, 0.26, 2.74, 2.33),
        "gradient_ascent": (7.54, 0.29, 10.04, 0.31, 93.31, 0.04, 89.28, 0.07, 4.26, 0.31),
        "fisher": (7.84, 0.71, 9.52, 0.43, 92.05, 0.16, 88.10, 0.19, 5.08, 38.24),
        "influence": (2.03, 0.43, 5.07, 0.74, 98.26, 0.29, 91.33, 0.22, 4.07, 3.22),
    },
    (SPARSE_MU, "10 %", 0.95): {
        "retrain": (6.77, 0.23, 14.17, 0.18, 100.00, 0.00, 93.33, 0.12, 0.00, 42.15),
        "fine_tune": (5.97, 0.57, 13.36, 0.59, 96.99, 0.31, 90.29, 0.31, 1.92, 2.33),
        "gradient_ascent": (5.62, 0.46, 11.76, 0.52, 95.44, 0.11, 89.26, 0.15, 3.05, 0.31),
        "fisher": (8.16, 0.67, 10.80, 0.37, 92.29, 0.24, 87.79, 0.23, 4.50, 38.24),
        "influence": (6.51, 0.52, 11.93, 0.68, 94.94, 0.31, 88.74, 0.42, 3.08, 3.22),
    },
    (SALUN, "10 %", 0.0): {
        "retrain": (5.24, 0.69, 12.88, 0.09, 100.00, 0.00, 94.26, 0.02, 0.00, 43.29),
        "fine_tune": (0.63, 0.55, 2.70, 0.01, 99.88, 0.08, 94.06, 0.27, 3.78, 2.37),
        "random_label": (7.61, 0.31, 37.36, 0.06, 99.67, 0.14, 92.83, 0.38, 7.15, 2.64),
        "gradient_ascent": (0.69, 0.54, 1.70, 0.01, 99.50, 0.38, 94.01, 0.47, 4.12, 0.13),
        "influence": (1.07, 0.28, 2.67, 0.01, 99.20, 0.22, 93.20, 1.03, 4.06, 3.22),
        "boundary_expand": (0.59, 0.30, 7.47, 1.15, 99.42, 0.33, 93.85, 1.02, 2.76, 0.26),
        "boundary_shrink": (1.78, 2.52, 8.96, 0.13, 98.29, 2.50, 92.69, 2.99, 2.67, 0.43),
        "l1_sparse": (4.19, 0.62, 9.84, 0.00, 97.74, 0.33, 91.59, 0.57, 2.26, 2.36),
        "salun": (2.85, 0.43, 14.39, 0.82, 99.62, 0.12, 93.93, 0.29, 1.15, 2.66),
    },
    (SALUN, "50 %", 0.0): {
        "retrain": (7.91, 0.11, 19.29, 0.06, 100.00, 0.00, 91.72, 0.31, 0.00, 23.90),
        "fine_tune": (0.44, 0.37, 2.15, 0.01, 99.96, 0.03, 94.23, 0.03, 6.79, 1.31),
        "random_label": (4.80, 0.84, 41.95, 0.05, 99.55, 0.19, 91.31, 0.27, 6.65, 2.65),
        "gradient_ascent": (0.40, 0.33, 1.22, 0.00, 99.61, 0.32, 94.34, 0.01, 7.15, 0.66),
        "influence": (3.97, 2.48, 7.29, 0.03, 96.21, 2.31, 90.00, 2.53, 5.36, 3.25),
        "boundary_expand": (3.08, 0.41, 24.87, 0.03, 96.84, 0.49, 90.41, 0.09, 3.72, 1.31),
        "boundary_shrink": (9.76, 0.48, 32.15, 0.01, 90.19, 0.82, 83.71, 0.93, 8.13, 2.12),
        "l1_sparse": (1.44, 6.33, 4.76, 0.09, 99.52, 4.53, 93.13, 4.04, 5.72, 1.31),
        "salun": (7.75, 1.04, 16.99, 0.71, 94.28, 1.01, 89.29, 0.72, 2.65, 2.68),
    },
}  # fmt: skip


# Of a dense model, and of a mask that saw all images, as theirs did.
_OMP = ("", "omp")
_SAME_SPARSITY = 0.01


def lines(scenario: str) -> list[Published]:
    """Everything published of a scenario: `class`, `10 %` or `50 %`.

    Source: the main table of arXiv 2304.04934 and Table 1 of arXiv 2310.12508, both read from the authors' own pictures.
    """
    return [
        Published(
            paper,
            what,
            sparsity,
            method,
            dict(zip(MEASURES, n[0:8:2], strict=True)),
            dict(zip(MEASURES, n[1:8:2], strict=True)),
            n[8],
            n[9],
        )
        for (paper, what, sparsity), methods in _TABLES.items()
        if what == scenario
        for method, n in methods.items()
    ]


def in_epochs(line: Published) -> float:
    """A published run time in epochs of fine-tuning on the same machine: fine-tuning in the same table ran ten."""
    return FINE_TUNING_EPOCHS * line.minutes / _beside_it(line, "fine_tune").minutes


def of_retraining(line: Published) -> float:
    """A published run time as a share of retraining's in the same table."""
    return line.minutes / _beside_it(line, REFERENCE).minutes


def scenario_of(classes: Sequence[str], fraction: float) -> str:
    """Which published scenario ours is like; empty for a share that nobody published."""
    return "class" if classes else {0.1: "10 %", 0.5: "50 %"}.get(round(fraction, 2), "")


def beside(rows: Sequence[Row], scenario: str) -> list[Beside]:
    """Our row for each published line, where there is one: on a model that is as sparse, dense for dense."""
    published = lines(scenario)
    targets = {(p.paper, p.sparsity): p for p in published if p.method == REFERENCE}
    found = []
    for line in published:
        row = _ours(rows, line)
        if row is not None and line.method != REFERENCE:
            found.append(_beside(line, row, targets[line.paper, line.sparsity]))
    return found


def order_kept(pairs: Sequence[Beside]) -> tuple[int, int]:
    """Of all pairs of methods, how many have the same one closer to retraining there and here; and how many there are.

    Pairs within one table only; those that are as close as each other in either are left out.
    """
    same = total = 0
    for i, one in enumerate(pairs):
        for two in pairs[i + 1 :]:
            theirs = one.line.avg_gap - two.line.avg_gap
            ours = _apart(one, two)
            if (one.line.paper, one.line.sparsity) == (two.line.paper, two.line.sparsity) and ours and theirs:
                same, total = same + (ours * theirs > 0), total + 1
    return same, total


def signs_kept(pairs: Sequence[Beside]) -> tuple[int, int]:
    """How many gaps are to the same side there and here, of those that both show."""
    known = [a for pair in pairs for a in pair.agrees.values() if a is not None]
    return sum(known), len(known)


def _beside_it(line: Published, method: str) -> Published:
    """The line of another method in the same table, on the same model."""
    same = [p for p in lines(line.scenario) if (p.paper, p.sparsity) == (line.paper, line.sparsity)]
    return next(p for p in same if p.method == method)


def _ours(rows: Sequence[Row], line: Published) -> Row | None:
    """At the published sparsity; by OMP, as the papers' masks, where there is one, then with the published settings where
    somebody ran these, then over the most seeds."""
    own = [
        r for r in rows if r.method == line.method and r.reference and _as_sparse(r.sparsity, line.sparsity)
    ]
    return min(
        own, key=lambda r: (r.sparsifier not in _OMP, r.chosen != "published", -len(r.trials)), default=None
    )


def _as_sparse(ours: float, theirs: float) -> bool:
    return abs(ours - theirs) < _SAME_SPARSITY if theirs else not ours


def _beside(line: Published, row: Row, target: Published) -> Beside:
    theirs = {name: round(line.values[name] - target.values[name], 2) for name in MEASURES}
    ours = {
        name: None if row.signed[name] is None else 100 * float(row.signed[name] or 0) for name in MEASURES
    }
    return Beside(line, row, theirs, ours, {name: _agree(name, theirs[name], ours[name], row) for name in MEASURES})  # fmt: skip


def _agree(name: str, theirs: float, ours: float | None, row: Row) -> bool | None:
    if not theirs or not ours or name in row.inside:
        return None
    return theirs * ours > 0


def _apart(one: Beside, two: Beside) -> float:
    """How much further from retraining the first is here; 0 where that lies within noise or is unknown."""
    gaps = (one.row.gap, two.row.gap)
    if gaps[0] is None or gaps[1] is None:
        return 0.0
    apart, floor = gaps[0] - gaps[1], one.row.floor[AVERAGE]
    return 0.0 if abs(apart) <= (floor or 0) else apart
