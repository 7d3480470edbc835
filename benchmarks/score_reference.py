"""Scores of a CIFAR ResNet against a float64 reference that is written another way: block by block, without hooks.

python -m benchmarks.score_reference --model resnet20-12fca82f.th --data cifar10:ROOT [--images 1000]
"""

import argparse
import copy

import numpy as np
import torch
from torch.nn import functional

from benchmarks.record import print_table, save
from unlearn_core.channels.activations import collect
from unlearn_core.channels.scoring import channel_scores
from unlearn_core.progress import silent
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


@torch.no_grad()
def channel_means(model, images):
    """Mean over the map of every channel after batch norm and ReLU, (N, C) for each convolution, in float64."""
    net = copy.deepcopy(model.net).double().eval()
    mean, std = (t.double().flatten()[None, :, None, None] for t in (model.mean, model.std))
    read = {}

    def keep(name, maps):
        read[name] = functional.relu(maps).mean((2, 3)).numpy()
        return maps

    x = (images.double() / 255 - mean) / std
    x = functional.relu(keep("conv1", normed(net.bn1, functional.conv2d(x, net.conv1.weight, padding=1))))
    for stage in ("layer1", "layer2", "layer3"):
        for i, block in enumerate(getattr(net, stage)):
            out = functional.conv2d(x, block.conv1.weight, stride=block.conv1.stride, padding=1)
            out = functional.relu(keep(f"{stage}.{i}.conv1", normed(block.bn1, out)))
            out = functional.conv2d(out, block.conv2.weight, padding=1)
            out = keep(f"{stage}.{i}.conv2", normed(block.bn2, out))
            x = functional.relu(out + block.shortcut(x))
    return read


def normed(norm, x):
    """Batch norm by its stored statistics."""
    scale, shift, mean, variance = (
        t[None, :, None, None] for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    return (x - mean) / torch.sqrt(variance + norm.eps) * scale + shift


def tf_idf(means):
    """TF-IDF of class means (K, C), by the paper's equations."""
    share = means / means.sum(axis=1, keepdims=True)
    # Means that differ by rounding alone are equal.
    above = (means >= means.mean(axis=0) * (1 - 1e-9)).sum(axis=0)
    return share * np.log((1 + len(means)) / (1 + above))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=1000)
    args = parser.parse_args()
    dataset, loaded = open_both(Opening(args.model, args.data, device="cpu"), silent)
    chosen = torch.linspace(0, len(dataset.train) - 1, min(args.images, len(dataset.train))).long()
    images = dataset.train.select(chosen)
    ours = channel_scores(collect(loaded.model, images, dataset.classes))
    labels = images.labels.numpy()
    rows = []
    for layer, values in channel_means(loaded.model, images.images).items():
        expected = tf_idf(np.stack([values[labels == k].mean(axis=0) for k in range(len(dataset.classes))]))
        apart = np.abs(ours.by_layer[layer] - expected).max()
        rows.append(
            {"layer": layer, "largest score": f"{expected.max():.4f}", "largest difference": f"{apart:.1e}"}
        )
    print_table(rows)
    save(f"score-reference-{loaded.card.name}", {"arguments": vars(args), "rows": rows})


if __name__ == "__main__":
    main()
