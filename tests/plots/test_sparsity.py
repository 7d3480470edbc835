"""Charts over sparsity: what they draw, in which colours, and what they say."""

import pytest

from unlearn_core.plots import sparsity as plots
from unlearn_core.plots.marks import NOISE
from unlearn_core.results.result import LayerSparsity

NAMES = ["Retraining", "Fine-tuning", "Gradient ascent"]


def row(series, sparsity, mean, low=None, high=None, **more):
    return {
        "series": series,
        "sparsity": sparsity,
        "mean": mean,
        "low": low,
        "high": high,
        "seeds": 2,
        **more,
    }


ROWS = [
    row("Retraining", 0.0, 100.0, 99.0, 101.0),
    row("Retraining", 95.0, 98.0, 97.0, 99.0),
    row("Fine-tuning", 0.0, 5.0, -2.0, 12.0),
    row("Fine-tuning", 95.0, 60.0),
]


def values(chart):
    """All rows that a chart was given."""
    return [v for rows in chart.to_dict()["datasets"].values() for v in rows]


def test_each_halving_of_the_weights_takes_the_same_room():
    places = [
        v["position"]
        for v in values(plots.over_sparsity([row("a", s, 1.0) for s in (0, 50, 75, 87.5)], ["a"], "ra", ""))
    ]
    assert places == pytest.approx([0, 1, 2, 3])


def test_the_dense_model_has_a_label_of_its_own():
    axis = plots.over_sparsity(ROWS, NAMES, "ua", "Retraining").to_dict()["layer"][0]["encoding"]["x"]["axis"]
    assert axis["labelExpr"].startswith("{'0.0000': '0',") and "'95'" in axis["labelExpr"]
    assert axis["values"][0] == 0


def test_intervals_stay_within_what_a_share_can_be_and_without_seeds_they_are_points():
    drawn = {
        (v["series"], v["sparsity"]): v for v in values(plots.over_sparsity(ROWS, NAMES, "ua", "Retraining"))
    }
    assert (drawn["Fine-tuning", 0.0]["low"], drawn["Retraining", 0.0]["high"]) == (0.0, 100.0)
    assert drawn["Fine-tuning", 95.0]["low"] == drawn["Fine-tuning", 95.0]["high"] == 60.0


def test_a_method_keeps_its_colour_and_retraining_is_grey():
    whole, few = (plots.colours(n, "Retraining").to_dict() for n in (NAMES, NAMES[:2]))
    assert whole["range"][0] == NOISE and len(set(whole["range"])) == 3
    assert few["range"] == whole["range"][:2]


def test_every_chart_says_what_it_shows():
    over = plots.over_sparsity(ROWS, NAMES, "ua", "Retraining").to_dict()["description"]
    assert "Fine-tuning 5.0 at 0 % and 60.0 at 95 %" in over
    beside = [{"series": "Fine-tuning", "dense": 48.0, "sparse": 17.5}]
    told = plots.beside_dense(beside, NAMES, "avg_gap", "Retraining", 2.0).to_dict()["description"]
    assert "Fine-tuning 48.0 dense, 17.5 sparse" in told
    rows = [row("l1-sparse, constant", 0, 3.0, gamma="0.0005"), row("Retraining", 0, 1.0, 0.0, 1.0, gamma="")]
    names = ["Retraining", "l1-sparse, constant"]
    told = plots.schedules(rows, names, "avg_gap", "Retraining").to_dict()["description"]
    assert "l1-sparse, constant at γ 0.0005 3.0" in told
    told = plots.relative([row("the bound", 0, 1.0), row("the bound", 90, 0.25)], ["the bound"]).to_dict()
    assert "the bound 0.25 times its dense value at 90 %" in told["description"]


def test_layers_keep_the_order_of_the_network():
    layers = {n: LayerSparsity(weights=10, kept=k, sparsity=1 - k / 10) for n, k in (("z", 9), ("a", 1))}
    chart = plots.by_layer(layers, 0.5).to_dict()
    assert chart["layer"][0]["encoding"]["y"]["sort"] == ["z", "a"]
    assert "z 10.0 %, a 90.0 %" in chart["description"]
