"""Every image at exactly one client, whatever the partition; and each partition as uneven as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.partition import Partition, draw, holdings, parse_partition

TEXTS = st.one_of(
    st.just("iid"),
    st.floats(0.01, 100).map(lambda a: f"dirichlet:{a}"),
    st.integers(1, 3).map(lambda s: f"shards:{s}"),
    st.floats(0, 1).map(lambda p: f"biased:{p}"),
)
LABELS = st.lists(st.integers(0, 4), min_size=30, max_size=120).map(lambda x: np.array(x, dtype=np.int64))
BALANCED = np.repeat(np.arange(10), 100)


@given(LABELS, st.integers(1, 10), TEXTS, st.integers(0, 2**31))
def test_every_image_is_at_exactly_one_client(labels, clients, text, seed):
    parts = draw(labels, clients, parse_partition(text), seed=seed)
    assert len(parts) == clients
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert all(len(part) and (np.diff(part) > 0).all() for part in parts)
    table = holdings(labels, parts, 5)
    assert table.shape == (clients, 5)
    assert (table.sum(axis=0) == np.bincount(labels, minlength=5)).all()


@pytest.mark.parametrize("text", ["iid", "dirichlet:0.5", "shards:2", "biased:0.8"])
def test_the_seed_decides(text):
    one, again, other = (draw(BALANCED, 10, parse_partition(text), seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_iid_and_shards_and_biased_deal_alike_in_number():
    for text in ("iid", "shards:2", "biased:0.8"):
        sizes = [len(part) for part in draw(BALANCED, 10, parse_partition(text), seed=0)]
        assert sizes == [100] * 10, text


def test_shards_give_few_classes():
    table = holdings(BALANCED, draw(BALANCED, 10, parse_partition("shards:2"), seed=0), 10)
    assert ((table > 0).sum(axis=1) <= 2).all()


def test_biased_gives_each_its_main_class():
    table = holdings(BALANCED, draw(BALANCED, 10, parse_partition("biased:0.8"), seed=0), 10)
    assert (table.argmax(axis=1) == np.arange(10)).all()
    assert (table.max(axis=1) >= 80).all()
    assert (table.max(axis=1) < 95).all()


def test_dirichlet_is_the_more_uneven_the_smaller_alpha():
    def spread(alpha):
        table = holdings(BALANCED, draw(BALANCED, 10, Partition("dirichlet", alpha), seed=0), 10)
        return float(table.std(axis=0).mean())

    assert spread(0.1) > 2 * spread(1.0) > 2 * spread(100.0)


def test_a_client_is_never_left_without_an_image():
    parts = draw(BALANCED, 200, Partition("dirichlet", 0.01), seed=0)
    assert min(len(part) for part in parts) >= 1


@pytest.mark.parametrize(
    "text",
    ["", "even", "dirichlet", "dirichlet:0", "dirichlet:x", "shards:0", "shards:1.5", "biased:2", "iid:3"],
)
def test_what_cannot_be_drawn_is_refused(text):
    with pytest.raises(UnlearnError, match=repr(text)):
        parse_partition(text)


@pytest.mark.parametrize("text", ["iid", "dirichlet:0.5", "shards:2", "biased:0.8"])
def test_is_read_as_it_is_written(text):
    assert str(parse_partition(text)) == text


def test_more_clients_or_shards_than_images_are_refused():
    with pytest.raises(UnlearnError, match="1,000 images can't be dealt to 1,001"):
        draw(BALANCED, 1001, Partition("iid"), seed=0)
    with pytest.raises(UnlearnError, match="2,000 shards"):
        draw(BALANCED, 1000, Partition("shards", 2), seed=0)
