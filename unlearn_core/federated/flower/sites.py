"""What a client's images are: told by the server for a drawn part of the run's data set, or a folder of the client's own.

A client finds its images by its node's config: `partition-id` and `num-partitions` where it holds a drawn part of the
run's data set, `data` (folder:PATH) where it holds a folder of its own. `least-k` is a floor of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import Context

from unlearn_core.data.classes import align_classes, class_index
from unlearn_core.data.sets import Dataset, ImageSet
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.federated.client import Site
from unlearn_core.federated.job import JOB
from unlearn_core.federated.partition import Positions, draw, parse_partition

_FROM_REQUEST = ("data", "partition", "clients", "seed", "dropout", "device")


def site_config(folder: Path) -> dict[str, Any]:
    """What the server tells every client of the data set and how it is dealt, from the job in the folder."""
    job = json.loads((folder / JOB).read_text())
    request = job["asked"]
    config = {**{name: request[name] for name in _FROM_REQUEST}, "classes": job["classes"]}
    if request["superlink"]:
        # Where a folder lies on this machine is nothing that other machines must know, nor have they its devices.
        config |= {"data": parse_dataset(request["data"]).name, "device": "auto"}
    return config


def site_of(context: Context, config: Mapping[str, Any], exchange: int) -> Site:
    """The client of this node, with its images."""
    node, classes = context.node_config, tuple(config["classes"])
    client = int(node["partition-id"])
    own = "data" in node
    images = _own_images(str(node["data"]), classes) if own else _dealt_images(config, classes, client)
    # Only a rehearsal may know its noise in advance; at a real site it comes from the operating system.
    seed = node.get("noise-seed")
    noise = np.random.default_rng(None if seed is None else [int(seed), client, exchange])
    least_k = int(node.get("least-k", 0))
    return Site(context.node_id, client, classes, images, config["device"], noise, own, least_k)


def relabelled(dataset: Dataset, classes: Sequence[str]) -> ImageSet:
    """A site's own training images with the run's labels; it may lack classes, but not bring others."""
    labels = torch.tensor([class_index(classes, name) for name in dataset.classes])
    return replace(dataset.train, labels=labels[dataset.train.labels])


def _own_images(data: str, classes: tuple[str, ...]) -> ImageSet:
    return relabelled(_opened(data), classes)


def _dealt_images(config: Mapping[str, Any], classes: tuple[str, ...], client: int) -> ImageSet:
    parts = _dealt(config["data"], classes, config["partition"], config["clients"], config["seed"])
    return _aligned(config["data"], classes).train.select(torch.from_numpy(parts[client]))


@lru_cache(maxsize=2)
def _opened(data: str) -> Dataset:
    return open_dataset(parse_dataset(data))


@lru_cache(maxsize=2)
def _aligned(data: str, classes: tuple[str, ...]) -> Dataset:
    return align_classes(_opened(data), classes)


@lru_cache(maxsize=4)
def _dealt(
    data: str, classes: tuple[str, ...], partition: str, clients: int, seed: int
) -> tuple[Positions, ...]:
    labels = _aligned(data, classes).train.labels.numpy()
    return draw(labels, clients, parse_partition(partition), seed=seed)
