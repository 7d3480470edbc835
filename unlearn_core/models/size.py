"""How large and how fast a model is: parameters, multiply-accumulates, bytes of its file, measured latency."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of, evaluating


@dataclass(frozen=True)
class ModelSize:
    """Size and speed of a model.

    Attributes:
        parameters: Trainable numbers.
        macs: Multiply-accumulates of convolutions and linear layers for one image.
        milliseconds: Median time of one batch on the device it lies on.
        batch: Images in that batch.
        device: Where it was measured.
    """

    parameters: int
    macs: int
    milliseconds: float
    batch: int
    device: str


def measure(model: Classifier, images: Tensor, repeats: int = 15) -> ModelSize:
    """Measures a model on a batch of uint8 images (N, 3, H, W)."""
    device = device_of(model)
    batch = images.to(device)
    with evaluating(model), torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model(batch[:1])
        for _ in range(3):
            model(batch)
        times = [_timed(model, batch) for _ in range(repeats)]
    parameters = sum(p.numel() for p in model.parameters())
    # The counter counts a multiplication and an addition apart.
    return ModelSize(
        parameters, counter.get_total_flops() // 2, 1000 * statistics.median(times), len(batch), str(device)
    )


def _timed(model: Classifier, batch: Tensor) -> float:
    _wait(batch.device)
    start = time.perf_counter()
    model(batch)
    _wait(batch.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
