"""Both ends of every kind of run: opening its inputs, and saying what they were and under what conditions it ran."""

import os
from dataclasses import asdict
from typing import Any

import torch

from unlearn_core.checkpoints.model_files import LoadedModel, image_size_of, open_model
from unlearn_core.data.classes import align_classes
from unlearn_core.data.forgotten import forgotten_by
from unlearn_core.data.leaving_out import leave_out
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import ForgetSplit
from unlearn_core.models.inference import choose_device, choose_dtype
from unlearn_core.progress import Report
from unlearn_core.results.result import Images, Inputs
from unlearn_core.workflows.requests import Opening


def open_both(asked: Opening, report: Report) -> tuple[Dataset, LoadedModel]:
    """The data set with its labels in the model's order of classes, and the model on the device.

    The images have the size that was asked for, or the one on the model's card.
    """
    size = asked.size or image_size_of(asked.model)
    dataset = open_dataset(parse_dataset(asked.data, size), report)
    loaded = open_model(
        asked.model,
        dataset,
        arch=asked.arch,
        normalize=asked.normalize,
        part=asked.part,
        class_order=asked.class_order,
        keep_zeros=asked.keep_zeros or None,
        device=choose_device(asked.device),
    )
    return align_classes(dataset, loaded.card.classes), loaded


def open_for_training(asked: Opening, report: Report) -> tuple[Dataset, LoadedModel]:
    """As `open_both`, without the training images that the model was made to forget."""
    dataset, loaded = open_both(asked, report)
    return leave_out(dataset, forgotten_by(loaded.card.facts)), loaded


def inputs_of(dataset: Dataset, loaded: LoadedModel) -> Inputs:
    """Which model and data a result is of, by name and by hash."""
    return Inputs(
        data=str(dataset.spec),
        data_digest=dataset.digest,
        model=loaded.card.name,
        model_digest=loaded.digest,
        arch=loaded.card.spec.arch,
        normalization=asdict(loaded.card.normalization),
        normalization_tried=loaded.card.facts.get("normalization_tried", {}),
    )


def images_of(split: ForgetSplit) -> Images:
    """How many images a split keeps and forgets."""
    return Images(
        retain=len(split.retain),
        forget=len(split.forget),
        test=len(split.test),
        test_forget=len(split.test_forget),
    )


def conditions(device: torch.device, precision: str) -> dict[str, Any]:
    """On what a run computed: the fields of `Conditions`."""
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "precision": str(choose_dtype(device, precision)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def names_in(text: str) -> list[str]:
    """The names in a list with commas between; "none" stands for none."""
    return [name.strip() for name in text.split(",") if name.strip() and name.strip() != "none"]
