"""What is registered once is known to everything: a toy method, a toy sparsifier and a toy data set, added at run time."""

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import methods
from pages.parts.compare import words
from unlearn_core.data.digits import open_digits
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import DATASETS, DatasetSource, open_dataset, parse_dataset
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.plots.forget_retain import forget_retain
from unlearn_core.progress import Progress, Report
from unlearn_core.results import comparison
from unlearn_core.results.loading import of_record
from unlearn_core.results.result import UnlearnResult
from unlearn_core.running import jobs
from unlearn_core.running.command import start
from unlearn_core.running.command.main import main
from unlearn_core.running.kinds.registry import run_workflow
from unlearn_core.running.worker import execute
from unlearn_core.sparsify import random_mask
from unlearn_core.sparsify.effort import Effort
from unlearn_core.sparsify.methods.random_mask import RandomParams
from unlearn_core.sparsify.recipes import SparseRecipe
from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.sparsify.sparsifier import Sparsifier
from unlearn_core.sparsify.task import Found, SparseTask
from unlearn_core.store.runs import RunRecord, RunStore
from unlearn_core.unlearning.method import Beside, Caution, Family, Method
from unlearn_core.unlearning.registry import METHODS
from unlearn_core.unlearning.task import Outcome, Task
from unlearn_core.unlearning.work import Stint, Work

OpenPage = Callable[..., AppTest]
ROOT = Path(__file__).resolve().parents[2]
MODEL = ["--model", "imported:tiny", "--data", "digits", "--device", "cpu"]
PAPERS_TABLES = "unlearn_core/experiments/published.py"
"""Names methods in the rows that papers printed: a new method has none there until a paper prints one."""


@dataclass(frozen=True)
class ToyParams(Recipe):
    """Nothing that trains."""

    zeal: float = setting(0.5, "How hard it tries", label="Zeal of the toy", low=0.0, high=1.0)


def run(model: Classifier, params: ToyParams, task: Task) -> Outcome:
    task.report(Progress("playing", 1, 1))
    return Outcome(model, facts={"zeal": params.zeal})


@dataclass(frozen=True)
class ToyMask(SparseRecipe):
    """Settings of a random mask."""

    grain: float = setting(0.5, "How coarse it is", label="Grain of the toy", low=0.0, high=1.0)


def find(params: ToyMask, task: SparseTask) -> Found:
    return random_mask.find(RandomParams(sparsity=params.sparsity), task)


def open_toy(spec: DatasetSpec, report: Report, download: bool) -> Dataset:
    return open_digits(spec, report, download)


METHOD = Method(
    name="toy",
    label="Toy method",
    short="Toy",
    family=Family.TEACHING,
    about="Does nothing with much zeal.",
    paper="Nobody, Toys, 2026",
    link="https://example.org/toys",
    params=ToyParams,
    work=lambda params, sizes: Work((Stint(36_000, 1),)),
    code=f"{__name__}:run",
    beside=Beside(label="Toy beside", words="toy beside it", about="Shows how little.", usual=True),
    published={"zeal": 1.0},
    cautions=(Caution(lambda params: params.zeal > 0.9, "So much zeal was measured to help nobody."),),
)
SPARSIFIER = Sparsifier(
    name="toy",
    label="Toy sparsifier",
    short="Toys",
    about="Removes what comes first.",
    paper="Nobody, Toys, 2026",
    link="https://example.org/toys",
    params=ToyMask,
    effort=lambda params, given: Effort(epochs=1000),
    sees_data=False,
    code=f"{__name__}:find",
)
SOURCE = DatasetSource(
    name="toys",
    label="Toy digits",
    about="Digits under another name.",
    short="Toy digits",
    caption="As small as digits.",
    code=f"{__name__}:open_toy",
)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> RunStore:
    """A store of runs that know the toys; what is started from the command line is done in this process."""
    monkeypatch.setitem(METHODS, "toy", METHOD)  # type: ignore[arg-type]
    monkeypatch.setitem(SPARSIFIERS, "toy", SPARSIFIER)  # type: ignore[arg-type]
    monkeypatch.setitem(DATASETS, "toys", SOURCE)  # type: ignore[arg-type]
    store = RunStore(empty_home)

    def follow_new(kind: str, request: Mapping[str, Any], device: str) -> RunRecord:
        record = store.create(kind, request, f"token {len(store.list())}", device)
        assert execute(store, record.id, run_workflow) == 0, store.get(record.id).error
        return store.get(record.id)

    monkeypatch.setattr(start, "follow_new", follow_new)
    monkeypatch.setattr(jobs, "refresh", lambda store: ())
    # How fast this machine is, is not what is tested here.
    monkeypatch.setattr("unlearn_core.running.timing.step_seconds", lambda *args: 0.5)
    monkeypatch.setattr("unlearn_core.running.timing.answer_seconds", lambda *args: 0.001)
    return store


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    return capsys.readouterr().out


def texts(app: AppTest) -> str:
    return " ".join(e.value for e in [*app.markdown, *app.caption, *app.warning]).replace("\\", "")


def test_the_form_offers_a_method_with_its_settings_cautions_and_time(
    toys: RunStore, open_page: OpenPage
) -> None:
    app = open_page("forget", forget=["3"])
    assert not app.exception
    assert any(
        "Toy method — teacher and student" in option for option in app.selectbox(key="forget method").options
    )
    assert app.checkbox(key="forget control toy").label == "Toy beside"
    app.selectbox(key="forget method").set_value("toy").run()
    zeal = app.number_input(key="forget toy zeal")
    assert (zeal.label, zeal.value) == ("Zeal of the toy", 0.5)
    assert "Does nothing with much zeal." in texts(app) and "Settings: recommended" in texts(app)
    assert "About 5.0 h" in texts(app)  # 36,000 steps of one image, half a second each
    zeal.set_value(1.0).run()
    assert "Settings: published" in texts(app)
    assert [w.value for w in app.warning] == ["So much zeal was measured to help nobody\\."]


def test_the_command_line_runs_a_method_and_tables_and_charts_name_it(
    toys: RunStore, open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--zeal" in help_of(["unlearn", "--method", "toy"], capsys)
    asked = ["--forget", "3", "--method", "toy", "--zeal", "0.25", "--controls", "toy,mask_logit"]
    assert main(["unlearn", *MODEL, *asked]) == 0
    result = of_record(toys.get(toys.list()[0].id))
    assert isinstance(result, UnlearnResult)
    assert (result.facts["zeal"], result.chosen) == (0.25, "by hand")
    rows = comparison.standing(result)
    assert [row["name"] for row in rows] == ["Original", "Toy", "Toy", "Masked logit"]
    assert "Toy" in forget_retain(rows).description
    assert methods.label("zeal", "toy") == "Zeal of the toy"
    app = open_page("compare")
    assert not app.exception
    assert any("Toy" in str(table.value.to_dict()) for table in app.dataframe)


def test_lists_have_a_method_and_a_data_set(toys: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0 and main(["datasets"]) == 0
    listed = capsys.readouterr().out
    assert METHOD.about in listed and SOURCE.about in listed


def test_the_form_offers_a_sparsifier_with_its_settings_and_time(toys: RunStore, open_page: OpenPage) -> None:
    app = open_page("sparsity")
    assert not app.exception
    app.segmented_control(key="sparsity view").set_value("Make a model sparse").run()
    by = app.selectbox(key="sparsify by")
    assert "Toy sparsifier" in by.options
    by.set_value("toy").run()
    assert app.number_input(key="forget toy grain").label == "Grain of the toy"
    assert SPARSIFIER.about in texts(app)
    assert "1003 epochs" in texts(app)  # a thousand for the mask, and the model's own recipe once more


def test_the_command_line_runs_a_sparsifier_and_tables_name_it(
    toys: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--grain" in help_of(["sparsify", "--sparsifier", "toy"], capsys)
    out = tmp_path / "sparse.safetensors"
    asked = ["--sparsifier", "toy", "--sparsity", "0.5", "--epochs", "1", "--out", str(out)]
    assert main(["sparsify", *MODEL, *asked]) == 0
    assert out.is_file() and toys.result(toys.list()[0].id)["sparsifier"] == "toy"
    row: Any = SimpleNamespace(sparsity=0.5, sparsifier="toy, strict")
    assert words.depth(row) == "50 % Toys, strict"


def test_a_data_set_is_offered_opened_and_named_in_messages(toys: RunStore, open_page: OpenPage) -> None:
    app = open_page("open")
    choice = app.radio(key="open data")
    assert choice.options == ["Handwritten digits", "CIFAR-10", "CIFAR-100", "Your own images", "Toy digits"]
    choice.set_value("toys").run()
    app.button(key="open look").click().run()
    assert not app.exception and "1,438 training and 359 test images" in app.success[0].value
    assert len(open_dataset(parse_dataset("toys")).classes) == 10
    with pytest.raises(UnlearnError, match="folder:PATH or toys"):
        parse_dataset("nothing")


@pytest.mark.parametrize(
    ("names", "home"), [(METHODS, "unlearning"), (SPARSIFIERS, "sparsify"), (DATASETS, "data")]
)
def test_nothing_keeps_a_table_of_its_own(names: Mapping[str, Any], home: str) -> None:
    """What is known of a method stands with the method: a table elsewhere forgets the next one."""
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "unlearn_core").rglob("*.py")]:
        place = path.relative_to(ROOT)
        if place.parts[:2] == ("unlearn_core", home) or str(place) == PAPERS_TABLES:
            continue
        for line, entries in tables_in(path.read_text("utf-8")):
            assert len(entries & names.keys()) < 3, f"{place}:{line} lists {sorted(entries & names.keys())}"


def tables_in(source: str) -> Iterable[tuple[int, set[str]]]:
    """The texts that each literal dictionary, set, tuple or list of a source holds, with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Dict(keys=entries):
                pass
            case ast.Set(elts=entries) | ast.Tuple(elts=entries) | ast.List(elts=entries):
                pass
            case _:
                continue
        yield node.lineno, {str(e.value) for e in entries if isinstance(e, ast.Constant)}
