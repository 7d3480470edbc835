"""Flower's SecAgg+ under the statistics: the sum is that of all clients, and no message holds one client's numbers."""

import io
import json

import numpy as np
import pytest

from unlearn_core.channels.activations import load_stats
from unlearn_core.errors import UnlearnError
from unlearn_core.federated import validate, validate_stats
from unlearn_core.federated.client_stats import REPORTED
from unlearn_core.federated.engine import run_engine
from unlearn_core.federated.outcome import OUTCOME
from unlearn_core.federated.privacy import Privacy, noise_reach
from unlearn_core.progress import silent

pytestmark = pytest.mark.usefixtures("flower")

CONFIGS = "secaggplus_configs"
"""What Flower calls the part of a message that the protocol is in."""


@pytest.fixture
def ran(job_in, tmp_path):
    """Runs a small secure job on digits without rounds; its folder and what came of it."""

    def make(name, privacy=(), clients=5, **request):
        settings = {"clients": clients, "partition": "dirichlet:0.5", "secure": True, **request}
        folder = job_in(tmp_path / name, privacy, **settings)
        run_engine("local", folder, clients, 0, silent)
        return folder, json.loads((folder / OUTCOME).read_text())

    return make


def test_the_sum_is_that_of_all_clients_and_no_part_is_kept(ran):
    folder, told = ran("masked")
    plain_folder, plain = ran("plain", secure=False)
    masked, exact = (load_stats(f / REPORTED) for f in (folder, plain_folder))
    assert np.array_equal(masked.counts, exact.counts)
    for layer in exact.layers:
        np.testing.assert_allclose(masked.sums[layer], exact.sums[layer], atol=2e-3)
    assert told["plan"]["groups"] == plain["plan"]["groups"]
    assert not (folder / "client_stats.npz").exists() and (plain_folder / "client_stats.npz").exists()
    exchange = next(e for e in told["exchanges"] if e["kind"] == "stats")
    assert (
        sorted(exchange["bytes_up"]) == ["0", "1", "2", "3", "4"] and min(exchange["bytes_up"].values()) > 0
    )
    assert told["events"] == []


def test_a_client_that_drops_out_after_sharing_its_keys_is_unmasked_without(ran):
    """What is left are masks that only the others' shares of its key can take away."""
    folder, told = ran("dropped", dropout=0.3, clients=6)
    lost = {2, 5}  # whom chance takes from this exchange; the evaluation after it has a draw of its own
    assert [int(e["client"]) for e in told["events"]][:2] == [2, 5]
    first = next(e for e in told["exchanges"] if e["kind"] == "stats")
    assert len(first["bytes_up"]) == 6  # all shared their keys before
    plain_folder, _ = ran("all", secure=False, clients=6)
    with np.load(plain_folder / "client_stats.npz") as parts:
        kept = [i for i, client in enumerate(parts["clients"]) if client not in lost]
        counts = load_stats(folder / REPORTED).counts
        assert np.array_equal(counts, parts["counts"][kept].sum(axis=0))


def test_a_message_under_masks_is_not_the_clients_numbers(ran, monkeypatch):
    from unlearn_core.federated.flower import secure

    sent = []
    original = secure._Watched.send_and_receive

    def listen(self, messages, *, timeout=None):
        replies = list(original(self, messages, timeout=timeout))
        sent.extend(
            v
            for r in replies
            if r.has_content()
            for c in r.content.config_records.values()
            for v in c.values()
        )
        return replies

    monkeypatch.setattr(secure._Watched, "send_and_receive", listen)
    ran("heard")
    raw = [part for v in sent if isinstance(v, list) for part in v if isinstance(part, bytes)]
    vectors = [np.load(io.BytesIO(part)) for part in raw if part.startswith(b"\x93NUMPY")]
    counts = [v for v in vectors if v.shape == (10,)]
    assert len(counts) == 5
    # Uniform over 2 ** 32 under the masks; ten counts in the open would lie within a few steps of the middle.
    spread = np.std(np.stack(counts).astype(float)) / 2**32
    assert spread == pytest.approx(1 / np.sqrt(12), rel=0.35)


def test_with_noise_the_bound_leaves_room_for_it(ran):
    folder, told = ran("noisy", privacy={"epsilon": 1.0})
    assert told["events"] == [] and load_stats(folder / REPORTED).counts.sum() > 0
    assert noise_reach(Privacy(), 100) == 0.0 < noise_reach(Privacy(epsilon=1.0), 100)


def test_what_cannot_be_secure_is_refused(ran):
    with pytest.raises(UnlearnError, match="needs each client's own statistics, which secure hides"):
        ran("average", weighting="plain")
    with pytest.raises(UnlearnError, match="3 clients or more, not 2"):
        ran("two", clients=2)


def test_too_few_are_never_unmasked(ran, monkeypatch):
    """Twice four of six are left of five that are needed: nobody gives a mask away before enough are."""
    from unlearn_core.federated.flower import secure

    stages = []
    original = secure._Watched.send_and_receive

    def listen(self, messages, *, timeout=None):
        stages.append(messages[0].content.config_records[CONFIGS]["stage"])
        return original(self, messages, timeout=timeout)

    monkeypatch.setattr(secure._Watched, "send_and_receive", listen)
    _, told = ran("few", clients=6, dropout=0.3, quorum=0.8)
    assert [e["client"] for e in told["events"]][:2] == ["2", "5"]
    attempt = ["setup", "share_keys", "collect_masked_vectors"]
    assert stages == [*attempt, *attempt, *attempt, "unmask"]


@pytest.mark.parametrize(("stage", "tries"), [("share_keys", 3), ("unmask", 1)])
def test_a_malformed_message_is_a_failed_attempt_and_none_follows_an_unmasking(
    ran, monkeypatch, stage, tries
):
    from unlearn_core.federated.flower import secure

    broken = []
    original = secure._Watched.send_and_receive

    def garble(self, messages, *, timeout=None):
        hit = messages[0].content.config_records[CONFIGS]["stage"] == stage
        replies = list(original(self, messages, timeout=timeout))
        if hit:
            broken.append(replies[0].content.config_records.pop(CONFIGS))
        return replies

    monkeypatch.setattr(secure._Watched, "send_and_receive", garble)
    with pytest.raises(UnlearnError, match=r"secure sum\): 0 of 3.*Last: The secure sum broke off"):
        ran("garbled", clients=3)
    assert len(broken) == tries


def test_a_reply_that_makes_no_message_is_that_clients_alone(ran, monkeypatch):
    """Client 1 is lost after it shared its keys; what it meant to send, nobody can read."""
    from unlearn_core.federated.flower.local_grid import LocalGrid

    answered = LocalGrid._answered

    def garbled(self, message):
        configs = message.content.config_records.get(CONFIGS, {})
        if message.metadata.dst_node_id == 2 and configs.get("stage") == "collect_masked_vectors":
            raise ValueError
        return answered(self, message)

    monkeypatch.setattr(LocalGrid, "_answered", garbled)
    _, told = ran("torn")
    [event] = told["events"]
    assert (event["event"], event["client"]) == ("dropped", "1")
    assert event["reason"] == "Its answer can't be read (ValueError)."


def test_a_number_too_large_for_the_masks_is_not_cut_off():
    from unlearn_core.federated.flower.secure import require_within

    require_within({"sums/conv": np.array([[-10.0]])}, 10.0)
    with pytest.raises(UnlearnError, match=r"a sum of 11, above 10"):
        require_within({"counts": np.array([1]), "sums/conv": np.array([[-11.0]])}, 10.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"counts": np.array([-1, 6])}, "fewer than no images"),
        ({"counts": np.array([15, 60])}, "registered 20"),
        ({"sums/conv": -np.ones((2, 3))}, "negative"),
        ({"sums/conv": np.full((2, 3), np.inf)}, "not finite"),
        ({"sums/conv": np.full((2, 3), -1e-4)}, ""),
    ],
)
def test_of_a_sum_what_can_be_checked_is(change, reason):
    arrays = {"sums/conv": np.ones((2, 3)), "counts": np.array([5, 6])}
    found = validate_stats.total_problem({**arrays, **change}, validate.schema_of(arrays), 20, reach=0)
    assert reason in found and bool(found) == bool(reason)


def test_dust_of_absent_classes_is_swept():
    swept = validate_stats.without_dust({"sums/conv": np.full((2, 3), 1e-4), "counts": np.array([0, 6])})
    assert not swept["sums/conv"][0].any() and swept["sums/conv"][1].all()
