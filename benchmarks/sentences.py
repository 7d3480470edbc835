"""Draws results and checks every sentence on them: `python -m benchmarks.sentences --draws 10000 --seed 0`.

The draws and the checker, which was written from the words of the sentences, are those of tests/results.
"""

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

_TESTS = Path(__file__).parents[1] / "tests" / "results"


def _drawn() -> Any:
    spec = importlib.util.spec_from_file_location("drawn_sentences", _TESTS / "test_sentences.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Prints how many results were drawn and how many sentences on them are false; fails at the first false one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given_arguments = parser.parse_args()
    drawn, count = _drawn(), 0

    @seed(given_arguments.seed)
    @settings(
        max_examples=given_arguments.draws,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn.results())
    def checked(result: Any) -> None:
        nonlocal count
        count += 1
        drawn.no_false_sentence(result)

    checked()
    print(json.dumps({"results": count, "seed": given_arguments.seed, "false": 0}))


if __name__ == "__main__":
    main()
