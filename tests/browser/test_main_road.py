"""The main road, driven in a real browser: load, score, look at maps, forget, cancel, forget, compare, reload."""

import re
import time

import pytest
from playwright.sync_api import expect
from safetensors.torch import save_file

from unlearn_core.checkpoints.model_files import open_model
from unlearn_core.store.runs import RunState, RunStore

pytestmark = pytest.mark.browser


def title(page, text):
    expect(page.get_by_role("heading", name=text, exact=True)).to_be_visible()


def settled(page):
    """Waits until the page has stopped running."""
    page.wait_for_timeout(400)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)


def pick(page, label, option):
    """Chooses in a select box by its label."""
    box = page.get_by_label(label, exact=True).first
    box.click()
    page.get_by_role("option", name=option, exact=True).first.click()
    settled(page)


def test_a_link_to_a_page_as_the_very_first_request_shows_the_whole_app(page):
    page.goto("/runs")
    title(page, "Runs")
    expect(page.get_by_role("link", name="Scores", exact=True)).to_be_visible()
    expect(page.get_by_label("Model", exact=True)).to_be_visible()
    expect(page.get_by_text("There is no run yet")).to_be_visible()


def test_the_first_page_has_a_true_figure_and_a_click_changes_the_detail(page):
    page.goto("/")
    title(page, "Overview")
    chart = page.locator("[data-testid='stVegaLiteChart'] canvas, [data-testid='stVegaLiteChart'] svg").first
    expect(chart).to_be_visible()
    heading = page.get_by_role("heading", name=re.compile(r"^Channel \d+")).first
    before = heading.inner_text()
    settled(page)
    box = chart.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.55)
    expect(heading).not_to_have_text(before)


def test_a_checkpoint_from_elsewhere_is_loaded_scored_and_looked_into(
    page, tmp_path, lethe_home, monkeypatch
):
    save_file(open_model("bundled:digits-vgg11").model.net.state_dict(), tmp_path / "mine.safetensors")
    page.goto("/open")
    title(page, "Open a model")
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.safetensors")
    settled(page)
    page.get_by_role("button", name="Open the model").click()
    expect(page.get_by_text("Opened: mine.safetensors")).to_be_visible()
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("mine"))
    page.get_by_role("link", name="Scores", exact=True).first.click()
    title(page, "Channel scores")
    page.get_by_role("button", name=re.compile("Score")).first.click()
    expect(page.get_by_text(re.compile(r"Why channel \d+ scores"))).to_be_visible(timeout=180_000)
    page.get_by_role("link", name="Maps", exact=True).first.click()
    title(page, "Feature maps")
    expect(page.get_by_text("Test images that drive it most")).to_be_visible()
    monkeypatch.setenv("LETHE_HOME", str(lethe_home))
    assert [r.state for r in RunStore().list("score")] == [RunState.SUCCEEDED]


def test_a_hostile_file_is_refused_with_a_sentence(page, tmp_path):
    marker = tmp_path / "marker"
    command = f"touch {marker}".encode()
    length = len(command).to_bytes(4, "little")
    (tmp_path / "evil.pt").write_bytes(b"\x80\x02cposix\nsystem\nX" + length + command + b"\x85R.")
    page.goto("/open")
    page.locator("input[type=file]").set_input_files(tmp_path / "evil.pt")
    settled(page)
    page.get_by_role("button", name="Open the model").click()
    expect(page.get_by_test_id("stAlert").first).to_contain_text("evil.pt")
    assert not marker.exists()


def test_forget_cancel_forget_compare_reload(page, lethe_home, monkeypatch):
    monkeypatch.setenv("LETHE_HOME", str(lethe_home))
    page.goto("/forget?model=bundled%3Adigits-vgg11&forget=3")
    title(page, "Forget")
    expect(page.get_by_text(re.compile("preview on .* test images"))).to_be_visible()
    start = page.get_by_role("button", name="Start", exact=True)
    expect(start).to_be_enabled()
    settled(page)
    start.dblclick()
    cancel = page.get_by_role("button", name="Cancel").first
    expect(cancel).to_be_visible()
    store = RunStore()
    assert len(store.list("unlearn")) == 1
    settled_run = store.list("unlearn")[0].id
    while store.get(settled_run).progress is None:
        time.sleep(0.1)
    asked = time.monotonic()
    cancel.click()
    while not store.get(settled_run).state.final:
        time.sleep(0.05)
        assert time.monotonic() - asked < 30
    assert store.get(settled_run).state is RunState.CANCELLED
    expect(page.get_by_role("button", name="Resume").first).to_be_visible()

    # The same form again, this time to the end.
    expect(start).to_be_enabled()
    settled(page)
    start.click()
    expect(page.get_by_role("button", name="Cancel").first).to_be_visible()
    page.reload()
    title(page, "Forget")
    deadline = time.monotonic() + 400
    while store.list("unlearn")[0].state is not RunState.SUCCEEDED:
        assert time.monotonic() < deadline, store.list("unlearn")[0]
        time.sleep(0.5)
    done = store.list("unlearn")[0]
    assert len(store.list("unlearn")) == 2
    result = store.result(done.id)
    assert result["after"]["forget_test_accuracy"] < 0.1 < 0.9 < result["after"]["retain_test_accuracy"]

    page.goto(f"/before_after?model=bundled%3Adigits-vgg11&b={done.id}")
    title(page, "Before / after")
    expect(
        page.get_by_text(re.compile(r"Pruning \d+ of \d+ channels and fine-tuning took .3. from"))
    ).to_be_visible()
    sentence = page.get_by_text(re.compile(r"Pruning \d+ of")).first.inner_text()
    page.reload()
    expect(page.get_by_text(sentence).first).to_be_visible()
    page.goto("/runs")
    expect(page.get_by_text("cancelled").first).to_be_attached()
