"""The second paper's main table at its own scale: CIFAR-10, ResNet-18, 182 epochs, whole class and random tenth. For a GPU.

python -m benchmarks.full_scale --data cifar10:ROOT [--device cuda] [--seeds 3] [--work full_scale]

First a dense model by the published recipe (batch 128 as in the paper's Table A1, multistep, shifts and mirroring), then
`benchmarks.study` for each scenario: dense and 95 % sparse by OMP (two trainings more a seed), retraining and every method.
It goes on where it was stopped: the study measurement by measurement, OMP stage by stage, the dense model alone from its
beginning. The studies stand on Compare and Sparsity as soon as they are written; there, and nowhere here, they are compared
with the published tables. On a small net and few epochs it can be tried anywhere:

python -m benchmarks.full_scale --data digits --arch cifar_resnet20_a --epochs 2 --forget 3 --methods gradient_ascent --seeds 1
"""

import argparse
import subprocess
import sys
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--arch", default="resnet18_small")
    parser.add_argument("--epochs", default="182")
    parser.add_argument("--forget", default="airplane")
    parser.add_argument("--fraction", default="0.1")
    parser.add_argument(
        "--methods", default="fine_tune,gradient_ascent,fisher,influence,l1_sparse,tfidf_prune"
    )
    parser.add_argument("--seeds", default="3")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--work", type=Path, default=Path("full_scale"))
    args = parser.parse_args()
    model = args.work / f"{args.arch}-{args.data.partition(':')[0]}-{args.epochs}.safetensors"
    args.work.mkdir(parents=True, exist_ok=True)
    if not model.is_file():
        recipe = ["--epochs", args.epochs, "--lr", "0.1", "--schedule", "multistep", "--augment", "crop_flip"]
        trained = ["--data", args.data, "--arch", args.arch, "--name", model.stem, "--device", args.device]
        call("unlearn_core", "train", *trained, *recipe, "--out", str(model))
    shared = ["--model", str(model), "--data", args.data, "--device", args.device, "--seeds", args.seeds]
    for scenario in (["--forget", args.forget], ["--fraction", args.fraction]):
        methods = ["--methods", args.methods, "--cache", str(args.work / "studies")]
        call("benchmarks.study", *shared, *scenario, *methods)


def call(module, *words):
    """Runs a module's command in a process of its own; ends with it where it fails."""
    print(" ".join(["python -m", module, *words]), flush=True)
    ended = subprocess.run([sys.executable, "-m", module, *words], check=False)
    if ended.returncode:
        sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
