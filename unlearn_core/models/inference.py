"""Running a model: which device, which precision, and predictions of many images."""

import contextlib
from collections.abc import Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report, silent

DEVICES = ("auto", "cuda", "mps", "cpu")
PRECISIONS = ("auto", "float32", "bfloat16")


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` takes CUDA when it is there, then MPS, then the CPU.

    Raises:
        UnlearnError: The device isn't there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    kind = name.partition(":")[0]
    if not there.get(kind, False):
        raise UnlearnError(
            f"Device {name!r} isn't available here; use one of: {', '.join(k for k in there if there[k])}."
        )
    return torch.device(name)


def devices() -> list[str]:
    """The devices of this machine, the fastest first."""
    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return [*cards, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def exact_device(device: torch.device) -> torch.device:
    """Where float64 is computed for a model on that device: there, but for MPS, which knows no float64, on the CPU."""
    return torch.device("cpu") if device.type == "mps" else device


def choose_dtype(device: torch.device, precision: str = "auto") -> torch.dtype:
    """The type of a training step's arithmetic.

    `auto` takes bfloat16 on CUDA, and on CPUs with bfloat16 instructions, where a step measured 1.4 times as fast as
    float32; float32 elsewhere.

    Raises:
        UnlearnError: An unknown precision.
    """
    if precision not in PRECISIONS:
        raise UnlearnError(f"Unknown precision {precision!r}; choose one of: {', '.join(PRECISIONS)}.")
    native = device.type == "cuda" or (device.type == "cpu" and _cpu_has_bfloat16())
    return torch.bfloat16 if precision == "bfloat16" or (precision == "auto" and native) else torch.float32


def arithmetic(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[None]:
    """A context in which the model computes in `dtype`; weights stay float32."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def batch_for(device: torch.device) -> int:
    """Images in a forward pass: on a CPU few enough for its caches, which measured twice as fast as 500."""
    return 64 if device.type == "cpu" else 1000


def device_of(model: nn.Module) -> torch.device:
    """The device that a model's parameters lie on."""
    return next(model.parameters()).device


def layout_for(net: nn.Module) -> torch.memory_format:
    """The order of memory that a net computes fastest in and can be trained in: channels last, but for narrow strides.

    With channels last, the gradient of a 1 x 1 convolution with a stride and fewer than 16 input channels writes past its
    memory on CPUs with two or more threads: wrong weights, or a crash (uxlfoundation/oneDNN#6035, seen with torch 2.15).
    Narrow and pruned ResNets have such shortcuts.
    """
    narrow = any(
        isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1) and m.stride != (1, 1) and m.in_channels < _BLOCK
        for m in net.modules()
    )
    return torch.contiguous_format if narrow else torch.channels_last


_BLOCK = 16  # channels that oneDNN computes together on CPUs with AVX-512; 8 on others


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every module's own mode restored after, also after an exception."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def predict(
    model: nn.Module,
    images: UInt8[Tensor, "N 3 H W"],
    *,
    batch_size: int = 0,
    report: Report = silent,
    stage: str = "evaluating",
) -> Float[Tensor, "N K"]:
    """Logits of every image, float32 on the CPU, in evaluation mode; the model's modes are restored."""
    device = device_of(model)
    batch_size = batch_size or batch_for(device)
    total = max(1, -(-len(images) // batch_size))
    parts = []
    with evaluating(model), torch.inference_mode():
        for step in range(total):
            batch = images[step * batch_size : (step + 1) * batch_size].to(device)
            if len(batch):
                parts.append(model(batch).float().cpu())
            report(Progress(stage, step + 1, total))
    return torch.cat(parts) if parts else torch.empty(0, 0)


def _cpu_has_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
