"""No file of the core has a way to run what a file of weights holds."""

import ast
from pathlib import Path

import pytest

import unlearn_core

SOURCES = sorted(Path(unlearn_core.__file__).parent.rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"torch.jit.load", "torch.export.load", "torch.package.PackageImporter", "eval", "exec"}


def faults(source):
    """Every forbidden import or call in a source text."""
    tree = ast.parse(source)
    imported = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    imported += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    found = [name for name in imported if name.split(".")[0] in FORBIDDEN_MODULES]
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        name = ast.unparse(call.func)
        given = {k.arg: ast.unparse(k.value) for k in call.keywords}
        unsafe_torch = name == "torch.load" and given.get("weights_only") != "True"
        if name in FORBIDDEN_CALLS or unsafe_torch or given.get("allow_pickle", "False") != "False":
            found.append(ast.unparse(call))
        if given.get("weights_only", "True") != "True":
            found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_no_file_of_the_core_can_unpickle(path):
    assert faults(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(f)",
        "torch.load(f, weights_only=False)",
        "load(f, weights_only=not strict)",
        "torch.jit.load(f)",
        "np.load(f, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(source):
    assert faults(source)
