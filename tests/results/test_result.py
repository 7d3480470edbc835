"""Every result that is stored today is read into its type and written back to the same JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unlearn_core.checkpoints.catalog import ASSETS
from unlearn_core.errors import UnlearnError
from unlearn_core.intervals import Tally
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.loading import from_plain, result_from
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import RESULTS, Part, Rung
from unlearn_core.running.kinds.registry import KINDS
from unlearn_core.store.files import read_json
from unlearn_core.workflows import pack

STORED = sorted((Path(__file__).parent / "stored").glob("*.json"))
BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "results"


def stored(name: str) -> dict[str, Any]:
    return json.loads(next(path for path in STORED if path.stem == name).read_text())


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_run_is_read_and_written_back(path):
    values = json.loads(path.read_text())
    assert to_plain(result_from(values)) == values


def test_the_run_of_the_pack_is_read_and_written_back():
    values = json.loads((pack.folder() / "run" / "result.json").read_text())
    written = to_plain(result_from(values))
    # It was made before controls said how their settings were chosen.
    assert [control.pop("chosen") for control in written["controls"].values()] == [""] * 4
    assert written == values


def test_runs_of_every_kind_are_stored():
    assert {name: kind.result for name, kind in KINDS.items()} == RESULTS
    kinds = [json.loads(path.read_text()) for path in STORED]
    assert {v["kind"] for v in kinds} == set(RESULTS)
    assert {v["action"] for v in kinds if "action" in v} == {"train", "unlearn", "retrain"}
    assert {v["strict"] for v in kinds if "strict" in v} == {True, False}
    assert any(v["federation"]["events"] for v in kinds if "federation" in v)


@pytest.mark.parametrize("path", sorted((ASSETS / "references").glob("*.json")), ids=lambda path: path.stem)
def test_stored_references_are_read_and_written_back(path):
    parts = json.loads(path.read_text())["retrain"]
    assert len(parts) == 10
    for digest, values in parts.items():
        assert to_plain(from_plain(Part, values, digest)) == values


def test_the_evaluations_of_the_pack_are_read_and_written_back():
    models = read_json(pack.folder() / "pack.json")["models"]
    assert len(models) == 3
    for name, model in models.items():
        assert to_plain(from_plain(Evaluation, model["evaluation"], name)) == model["evaluation"]


def rungs_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every rung of a ladder in a measured file, wherever it lies."""
    if isinstance(value, dict):
        if "rung" in value and "test_accuracy" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from rungs_in(item)


def test_the_ladders_of_measured_files_are_read():
    read = 0
    for path in sorted(BENCHMARKS.glob("*.json")):
        for values in rungs_in(json.loads(path.read_text())):
            written = to_plain(from_plain(Rung, values, path.name))
            assert {k: written[k] for k in values if k in written} == {
                k: values[k] for k in values if k in written
            }
            read += 1
    assert read > 100


def test_what_follows_from_the_counts_by_hand():
    confusion = ((8, 2, 0), (1, 9, 0), (5, 0, 15))
    evaluation = Evaluation(("a", "b", "c"), (2,), confusion, Tally(30, 40), Tally(18, 20))
    assert to_plain(evaluation) == {
        "classes": ["a", "b", "c"],
        "forget_classes": [2],
        "test_accuracy": 32 / 40,
        "forget_test_accuracy": 15 / 20,
        "retain_test_accuracy": 17 / 20,
        "per_class": [0.8, 0.9, 0.75],
        "per_class_total": [10, 10, 20],
        "confusion": [[8, 2, 0], [1, 9, 0], [5, 0, 15]],
        "ua": 0.25,
        "ra": 0.9,
        "ta": 17 / 20,
        "forget_train": [30, 40],
        "retain_train": [18, 20],
    }


def test_an_older_result_lacks_fields():
    values = stored("unlearn-class-with-controls")
    oldest = {name: values[name] for name in ("kind", "method", "before", "after")}
    oldest["controls"] = {"fine_tune": {"evaluation": values["controls"]["fine_tune"]["evaluation"]}}
    for evaluation in (oldest["before"], oldest["after"]):
        evaluation.pop("mia")
    result = result_from(oldest)
    assert result.to_retrain is None and result.plan is None and result.ladder == ()
    assert result.after.mia is None and result.after.measures.mia is None
    assert result.controls["fine_tune"].seconds is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda v: v["before"]["confusion"][2].__setitem__(0, "many"),
            r"before\.confusion\[2\]\[0\]: expected `int`",
        ),
        (lambda v: v["before"]["confusion"].pop(), r"before: the confusion table is not 10 by 10"),
        (lambda v: v["after"].update(forget_classes=[10]), r"after: a class to forget is none of the 10"),
        (lambda v: v["after"].pop("classes"), r"after: object missing required field `classes`"),
        (lambda v: v.pop("method"), r"object missing required field `method`"),
        (
            lambda v: v["after"].update(forget_train=[1, 2, 3]),
            r"after\.forget_train: expected `array` of length 2",
        ),
        (lambda v: v["ladder"][1].update(rung=None), r"ladder\[1\]\.rung: expected `str`, got `null`"),
        (lambda v: v["controls"]["retrain"].update(size=3), r"controls\[\.\.\.\]\.size: expected `object`"),
        (
            lambda v: v["plan"]["groups"][0].update(channels="all"),
            r"plan\.groups\[0\]\.channels: expected `array`",
        ),
        (lambda v: v.update(kind="dance"), r"kind: 'dance' is none of: unlearn, federated"),
        (lambda v: v.pop("kind"), r"kind: None is none of"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(spoil, words):
    values = stored("unlearn-class-with-controls")
    spoil(values)
    with pytest.raises(UnlearnError, match=rf"^result\.json: {words}"):
        result_from(values)
