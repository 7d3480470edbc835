"""A home with a small model trained on digits, and one finished run of it, made once for all page tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

APP = Path(__file__).resolve().parents[2] / "app.py"
MODEL = "imported:tiny"


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home itself; tests that change it take `home`, a copy."""
    from unlearn_core.running.kinds.registry import run_workflow
    from unlearn_core.running.worker import execute
    from unlearn_core.store.runs import RunStore
    from unlearn_core.workflows.train import train

    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LETHE_HOME", str(root))
        settings = {
            "data": "digits",
            "arch": "cifar_resnet20_a",
            "width": 0.25,
            "name": "tiny",
            "device": "cpu",
        }
        recipe = {"epochs": 3, "lr": 0.1, "batch_size": 64, "schedule": "one_cycle", "augment": "none"}
        train({"settings": settings, "recipe": recipe}, root / "trained", lambda progress: None)
        (root / "models").mkdir()
        (root / "trained" / "model.safetensors").rename(root / "models" / "tiny.safetensors")
        store = RunStore(root)
        asked = {
            "model": MODEL,
            "data": "digits",
            "forget": "3",
            "controls": "mask_logit,random_prune",
            "device": "cpu",
        }
        params = {"epochs": 1, "images_per_class": 20, "augment": "none", "where": "inner"}
        record = store.create("unlearn", {"settings": asked, "params": params}, "made", "cpu", "Forget three")
        assert execute(store, record.id, run_workflow) == 0, store.get(record.id).error
        yield root
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def _served_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a server that has drawn the frame once; the very first request is a browser test's matter."""
    monkeypatch.setattr(PagesManager, "uses_pages_directory", False)


@pytest.fixture
def home(made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the made home, as LETHE_HOME."""
    root = tmp_path / "home"
    shutil.copytree(made_home, root)
    monkeypatch.setenv("LETHE_HOME", str(root))
    return root


@pytest.fixture
def empty_home(made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the small model and no run."""
    root = tmp_path / "home"
    shutil.copytree(made_home / "models", root / "models")
    monkeypatch.setenv("LETHE_HOME", str(root))
    return root


@pytest.fixture
def with_result(home: Path) -> object:
    """`with_result(**changes)`: another finished run with the newest one's result but for these values; its id."""
    return lambda **changes: another_run(home, changes)


def another_run(home: Path, changes: dict[str, object]) -> str:
    """A finished run with the newest one's files, and its result but for the changes; its id."""
    from unlearn_core.running.worker import execute
    from unlearn_core.store.runs import RunStore

    store = RunStore(home)
    newest = store.list()[0]
    result = {**store.result(newest.id), **changes}

    def workflow(kind: str, request: object, folder: Path, report: object) -> dict[str, object]:
        kept = store.folder(newest.id)
        for name in (
            "predictions_before.npz",
            "predictions_after.npz",
            "stats_before.npz",
            "stats_after.npz",
        ):
            shutil.copyfile(kept / name, folder / name)
        return result

    record = store.create("unlearn", newest.request, "another", "cpu", "Another")
    assert execute(store, record.id, workflow) == 0, store.get(record.id).error
    return record.id


def opened_page(name: str, **query: str | list[str]) -> AppTest:
    """A page with the small model selected."""
    app = AppTest.from_file(str(APP), default_timeout=180)
    for key, value in {"model": MODEL, **query}.items():
        app.query_params[key] = value
    return app.run().switch_page(f"pages/{name}.py").run()


@pytest.fixture
def open_page() -> object:
    """`open_page(name, **query)`."""
    return opened_page
