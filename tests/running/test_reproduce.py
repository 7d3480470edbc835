"""The command that repeats a run, read back by the command line itself."""

import shlex
from typing import Any

import pytest

from unlearn_core.running.command.main import parser_for
from unlearn_core.running.reproduce import command_line

UNLEARN = {
    "settings": {
        "model": "bundled:digits-resnet20",
        "data": "folder:/a b/c",
        "forget": "big cat,dog",
        "fraction": 0.0,
        "seed": 3,
    },
    "params": {"ratio": 0.05, "epochs": 2, "cut": False, "lr": 1e-05},
}
TRAIN = {
    "settings": {"data": "digits", "arch": "cifar_vgg11", "width": 0.25},
    "recipe": {"epochs": 2, "lr": 0.1},
}

SPARSIFY = {
    "settings": {
        "model": "bundled:digits-resnet20",
        "data": "digits",
        "sparsifier": "imp",
        "strict": True,
        "forget": "3",
    },
    "params": {"sparsity": 0.8, "rate": 0.3, "rewind": "none"},
}

FEDERATED = {
    "settings": {
        "action": "unlearn",
        "data": "digits",
        "model": "bundled:digits-vgg11",
        "forget": "3",
        "clients": 4,
        "partition": "dirichlet:0.5",
        "delta": 1e-05,
    },
    "params": {"ratio": 0.3, "cut": True},
}


def read_back(line: str) -> dict[str, Any]:
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "unlearn_core"]
    return vars(parser_for(words[3:]).parse_args(words[3:]))


@pytest.mark.parametrize(
    ("kind", "request_"),
    [("unlearn", UNLEARN), ("train", TRAIN), ("sparsify", SPARSIFY), ("federated", FEDERATED)],
)
def test_every_setting_comes_back(kind: str, request_: dict[str, Any]) -> None:
    asked = read_back(command_line(kind, request_))
    for part in request_.values():
        for name, value in part.items():
            back = asked[name]
            assert (
                type(value)(back) == value
                if isinstance(value, float | int) and not isinstance(value, bool)
                else str(back) == str(value)
            )


def test_a_yes_or_no_setting_needs_no_word_behind_it() -> None:
    words = "sparsify --model m.safetensors --data digits --sparsifier omp --sparsity 0.95 --strict --forget 3 --out o"
    asked = vars(parser_for(words.split()).parse_args(words.split()))
    assert (asked["strict"], asked["forget"], asked["sparsity"]) == ("true", "3", "0.95")


def test_an_unknown_kind_has_no_command() -> None:
    assert command_line("damaged", {}) == ""
