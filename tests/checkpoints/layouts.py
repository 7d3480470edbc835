"""Files in which people of this field save their networks, made at test time: each a good file of one net.

A layout is a function from a net's own state dict to the object that a script would save. What opens from it must compute
exactly what the net computes.
"""

import argparse
import re
from collections import Counter, OrderedDict, defaultdict
from pathlib import PosixPath

import numpy as np
import torch

from unlearn_core.models.specs import ModelSpec

RESNET_A = ModelSpec("cifar_resnet20_a", 10, width=0.25)
RESNET_B = ModelSpec("cifar_resnet20_b", 10, width=0.25)
VGG = ModelSpec("cifar_vgg11", 10, width=0.125)
RESNET_18 = ModelSpec("resnet18_small", 10)


def prefixed(prefix):
    return lambda tensors: OrderedDict((prefix + name, t) for name, t in tensors.items())


def wrapped(*keys, prefix=""):
    """The state dict under keys, one in the other; a whole number stands for a place in a list."""

    def layout(tensors):
        value = prefixed(prefix)(tensors)
        for key in reversed(keys):
            value = [value] if key == 0 else {key: value}
        return value

    return layout


def renamed(*rules):
    """The state dict after substitutions of names, in order."""

    def spelled(name):
        for pattern, text in rules:
            name = re.sub(pattern, text, name)
        return name

    return lambda tensors: OrderedDict((spelled(name), t) for name, t in tensors.items())


def beside(**more):
    """A training checkpoint: the state dict beside other values."""
    return lambda tensors: {"state_dict": OrderedDict(tensors), **more}


def adding(**more):
    """The state dict with tensors that are none of the net's."""
    return lambda tensors: OrderedDict(
        [(name.replace("__", "."), t) for name, t in more.items()] + list(tensors.items())
    )


def other(tensors, factor=0.5):
    """The same model with other weights."""
    return OrderedDict((n, t * factor if t.is_floating_point() else t) for n, t in tensors.items())


def second_paper(tensors):
    """`0model_SA_best.pth.tar`: scheduler, optimiser, initial weights, normalisation inside, pruned in place."""
    pruned = OrderedDict([("normalize.mean", torch.tensor([0.4914, 0.4822, 0.4465]))])
    pruned["normalize.std"] = torch.tensor([0.2470, 0.2435, 0.2616])
    for name, tensor in tensors.items():
        name = name.replace("linear.", "fc.")
        if tensor.ndim == 4:
            pruned[f"{name}_orig"] = tensor + (tensor == 0) * 3.0
            pruned[f"{name}_mask"] = (tensor != 0).float()
        else:
            pruned[name] = tensor
    moments = {i: {"momentum_buffer": t} for i, t in enumerate(tensors.values())}
    return {
        "state": 0,
        "result": {"train_ta": [90.5, np.float64(91.0)], "val_ta": []},
        "epoch": 182,
        "state_dict": pruned,
        "best_sa": np.float32(92.5),
        "optimizer": {"state": moments, "param_groups": [{"lr": 0.1, "params": list(moments)}]},
        "scheduler": {"milestones": Counter({91: 1, 136: 1}), "gamma": 0.1, "_last_lr": [0.001]},
        "init_weight": other(tensors),
    }


FIRST_PAPER = (
    (r"^conv1\.", "conv_bn.conv."),
    (r"^bn1\.", "conv_bn.bn."),
    (r"^(layer\d)\.(\d+)\.conv(\d)\.", r"\1.block_\2.conv_bn\3.conv."),
    (r"^(layer\d)\.(\d+)\.bn(\d)\.", r"\1.block_\2.conv_bn\3.bn."),
)
RESIDUAL_FUNCTION = (
    (r"^conv1\.", "conv1.0."),
    (r"^bn1\.", "conv1.1."),
    (r"^layer1\.", "conv2_x."),
    (r"^layer2\.", "conv3_x."),
    (r"^layer3\.", "conv4_x."),
    (r"^layer4\.", "conv5_x."),
    (r"\.conv1\.", ".residual_function.0."),
    (r"\.bn1\.", ".residual_function.1."),
    (r"\.conv2\.", ".residual_function.3."),
    (r"\.bn2\.", ".residual_function.4."),
    (r"\.downsample\.", ".shortcut."),
)
UNKNOWN = (
    (r"^conv1\.", "input.kernel."),
    (r"^bn1\.", "input.affine."),
    (r"conv(\d)", r"k\1"),
    (r"bn(\d)", r"a\1"),
)


def without(pattern):
    return lambda tensors: OrderedDict((n, t) for n, t in tensors.items() if not re.search(pattern, n))


def without_conv_biases(tensors):
    convolutions = {n.removesuffix("weight") for n, t in tensors.items() if t.ndim == 4}
    return OrderedDict((n, t) for n, t in tensors.items() if n.removesuffix("bias") not in convolutions)


def weight_normed(tensors):
    """`torch.nn.utils.weight_norm` on every convolution."""
    made = OrderedDict()
    for name, tensor in tensors.items():
        if tensor.ndim == 4:
            made[f"{name}_g"] = tensor.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            made[f"{name}_v"] = tensor * 2.5
        else:
            made[name] = tensor
    return made


def parametrized(tensors):
    """`torch.nn.utils.parametrizations.weight_norm` on every convolution."""
    pieces = {
        "weight_g": "parametrizations.weight.original0",
        "weight_v": "parametrizations.weight.original1",
    }
    found = weight_normed(tensors)
    return OrderedDict(
        (re.sub(r"weight_[gv]$", lambda m: pieces[m[0]], name), t) for name, t in found.items()
    )


def as_numpy(tensors):
    return {name: t.numpy() for name, t in tensors.items()}


LAYOUTS = {
    "bare": (RESNET_A, dict),
    "second paper": (RESNET_A, second_paper),
    "first paper": (RESNET_A, renamed(*FIRST_PAPER)),
    "first paper, wrapped": (RESNET_A, lambda t: {"epoch": 3, "state_dict": renamed(*FIRST_PAPER)(t)}),
    "backbone as key": (RESNET_A, wrapped("backbone")),
    "best_model_state": (RESNET_A, wrapped("best_model_state")),
    "a list of one": (RESNET_A, wrapped(0)),
    "a list of one under a key": (RESNET_A, wrapped("models", 0, "weights")),
    "three keys deep": (RESNET_A, wrapped("checkpoint", "learner", "student_net")),
    "module.": (RESNET_A, prefixed("module.")),
    "_orig_mod.module.": (RESNET_A, prefixed("_orig_mod.module.")),
    "module._orig_mod.": (RESNET_A, prefixed("module._orig_mod.")),
    "model.module.": (RESNET_A, wrapped("state_dict", prefix="model.module.")),
    "net.backbone.": (RESNET_A, prefixed("net.backbone.")),
    "encoder.": (RESNET_A, prefixed("encoder.")),
    "a prefix nobody knows": (RESNET_A, prefixed("wonder.0.inner.")),
    "features.module.": (VGG, renamed((r"^features\.", "features.module."))),
    "a normalising layer in a Sequential": (
        RESNET_A,
        lambda t: {"0.mean": torch.rand(3), "0.std": torch.rand(3), **prefixed("1.")(t)},
    ),
    "head in a Sequential": (RESNET_A, renamed((r"^linear\.", "linear.0."))),
    "head behind dropout": (RESNET_A, renamed((r"^linear\.", "fc.1."))),
    "head as classifier": (RESNET_B, renamed((r"^linear\.", "classifier."))),
    "downsample and fc": (RESNET_B, renamed((r"^linear\.", "fc."), (r"\.shortcut\.", ".downsample."))),
    "skip": (RESNET_B, renamed((r"\.shortcut\.0\.", ".skip.conv."), (r"\.shortcut\.1\.", ".skip.bn."))),
    "stages and blocks": (RESNET_B, renamed((r"^layer(\d)\.(\d+)\.", r"stage_\1.block\2."))),
    "layers as a list": (
        RESNET_B,
        renamed((r"^layer1\.", "layers.0."), (r"^layer2\.", "layers.1."), (r"^layer3\.", "layers.2.")),
    ),
    "residual_function": (RESNET_18, renamed(*RESIDUAL_FUNCTION)),
    "names nobody knows": (RESNET_A, renamed(*UNKNOWN)),
    "vgg without biases": (VGG, without_conv_biases),
    "vgg with named layers": (VGG, renamed((r"^features\.(\d+)\.", r"feature.layer_\1."))),
    "body and head apart": (
        RESNET_A,
        lambda t: {
            "encoder": without("linear")(t),
            "head": {n.removeprefix("linear."): v for n, v in t.items() if "linear" in n},
        },
    ),
    "criterion": (RESNET_A, adding(criterion__weight=torch.ones(10))),
    "counters": (
        RESNET_A,
        adding(epoch=torch.tensor(3), n_averaged=torch.tensor(9), global_step=torch.tensor(1)),
    ),
    "a projector": (
        RESNET_A,
        adding(projector__0__weight=torch.ones(8, 16), projector__0__bias=torch.ones(8)),
    ),
    "weight norm": (RESNET_A, weight_normed),
    "weight norm as a parametrisation": (RESNET_A, parametrized),
    "numpy arrays": (RESNET_A, as_numpy),
    "half precision": (
        RESNET_A,
        lambda t: {n: v.half().float().half() if v.ndim else v for n, v in t.items()},
    ),
    "no counters": (RESNET_A, without("num_batches")),
    "a model and its average": (RESNET_A, lambda t: {"model": t, "model_ema": other(t)}),
    "an average beside the model, flat": (
        RESNET_A,
        lambda t: {**prefixed("model.")(t), **prefixed("ema.")(other(t))},
    ),
    "Namespace": (RESNET_A, beside(args=argparse.Namespace(lr=0.1, out=PosixPath("runs/1"), names=["a"]))),
    "Counter and defaultdict": (RESNET_A, beside(seen=Counter("aab"), curves=defaultdict(list, a=[1.0]))),
    "numpy scalars": (RESNET_A, beside(best=np.float64(93.1), step=np.int64(3), done=np.bool_(True))),
    "numpy arrays beside": (
        RESNET_A,
        beside(confusion=np.eye(3), order=np.arange(4), names=np.array(["a", "b"])),
    ),
    "Size, dtype, device": (
        RESNET_A,
        beside(shape=torch.Size([3, 32, 32]), dtype=torch.float32, device=torch.device("cuda:0")),
    ),
    "paths": (RESNET_A, beside(data=PosixPath("/data/cifar"))),
    "random states": (
        RESNET_A,
        beside(numpy=np.random.RandomState(0).get_state(), torch=torch.get_rng_state()),
    ),
    "sets and bytes": (RESNET_A, beside(classes={1, 2}, raw=b"\xff\x00")),
    "moments beside": (
        RESNET_A,
        lambda t: {
            "net": t,
            "optimizer": {"state": {0: {"exp_avg": t["conv1.weight"]}}},
            "momentum": other(t),
        },
    ),
    "parameters beside": (
        RESNET_A,
        lambda t: {"state_dict": t, "parameters": {n: v for n, v in t.items() if "running" not in n}},
    ),
}
