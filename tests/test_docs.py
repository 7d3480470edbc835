"""What the pages for people say must be true of the repository: commands, options, files, names, links, tables."""

import argparse
import ast
import importlib.util
import itertools
import json
import re
import runpy
import shlex
import shutil
import sys
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from unittest import mock

import pytest
from streamlit.web import cli as streamlit_cli

from unlearn_core.data.sources import DATASETS
from unlearn_core.errors import UnlearnError
from unlearn_core.models.registry import ARCHITECTURES
from unlearn_core.models.specs import NORMALIZATIONS
from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.unlearning.registry import METHODS

ROOT = Path(__file__).resolve().parent.parent
README, CONTRIBUTING, DOCS = ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs"
PAGES = [README, CONTRIBUTING, *sorted(DOCS.glob("*.md"))]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:typer")  # its quarrel with Click

FIRST_COMMANDS = [
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/streamlit run app.py",
    "bash .ci/check",
]
STANDS_FOR = {
    "M": "bundled:digits-vgg11",
    "D": "digits",
    "CLASS": "3",
    "PATH": "/path",
    "ROOT": "/path",
    "INDEX": "0",
    "FILE": "image.png",
    "L": "features.0",
    "ID": "0123456789ab",
    "N": "4",
    "A": "0.5",
    "NAME": "tfidf_prune",
}
"""What a placeholder of a quoted command is, to be read by the command's own parser."""
FLOWER = ("flower-superlink", "flower-supernode")
"""Flower's programs that federated.md starts."""


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Fenced blocks: language and content."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [(language, content) for _, language, content in found]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^( *)```\w*\n.*?^\1```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    """What is quoted in backticks."""
    return re.findall(r"`([^`]+)`", prose(page))


def cells(page: Path, heading: str) -> list[list[str]]:
    """The rows of the tables below a heading, up to the next one, without their heads."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text_of(page), flags=re.MULTILINE)[1]
    lines = re.split(r"^#+ ", section, flags=re.MULTILINE)[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    heads = {i - 1 for i, row in enumerate(rows) if set(row[0]) == {"-"}}
    return [row for i, row in enumerate(rows) if i not in heads and set(row[0]) != {"-"}]


# Commands


def commands_of(page: Path) -> Iterator[str]:
    """Every command that the page quotes, whole: a line of a block for a shell, or between backticks."""
    for language, content in blocks(page):
        if language in ("", "sh"):
            for line in re.sub(r"\\\n\s*", "", content).splitlines():
                yield from (part.strip() for part in line.split("&&"))
    yield from (" ".join(span.split()) for span in spans(page) if re.match(r"(python|pip|bash)\s", span))


def readings(command: str) -> list[list[str]]:
    """The words of a command with its placeholders filled in: one reading for each combination of alternatives."""
    plain = re.sub(r"\[[^-\]][^\]]*\]", "", command).replace("[", "").replace("]", "")
    filled = re.sub(rf"\b({'|'.join(STANDS_FOR)})\b", lambda name: STANDS_FOR[name[0]], plain)
    words = [word.split("|") for word in shlex.split(filled)]
    return [list(reading) for reading in itertools.product(*words)]


class Caught(BaseException):
    """What a program was about to parse."""


def _caught(parser: argparse.ArgumentParser, words: Sequence[str] | None = None, *_: object) -> None:
    raise Caught(parser, sys.argv[1:] if words is None else list(words))


def parser_of(start: object, words: Sequence[str]) -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser that a program makes for these words, and what it would parse; nothing of it runs.

    Args:
        start: The name of a module that is run by `python -m`, or a function.
        words: What stands behind its name.
    """
    with (
        # runpy warns of modules that are imported already.
        warnings.catch_warnings(action="ignore", category=RuntimeWarning),
        mock.patch.object(sys, "argv", [str(start), *words]),
        mock.patch.dict("os.environ", {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}),
        mock.patch.object(argparse.ArgumentParser, "parse_args", _caught),
        pytest.raises(Caught) as caught,
    ):
        if callable(start):
            start()
        else:
            runpy.run_module(str(start), run_name="__main__", alter_sys=True)
    return caught.value.args


def parse(start: object, words: Sequence[str]) -> None:
    """Has the program's own parser read the words; they may ask for its help."""
    parser, given = parser_of(start, words)
    try:
        parser.parse_args(given)
    except SystemExit as stopped:
        assert not stopped.code, f"{start} refuses {shlex.join(words)}"
    except UnlearnError as error:
        pytest.fail(f"{start} refuses {shlex.join(words)}: {error}")


def python(words: Sequence[str]) -> None:
    assert words[0] == "-m", words
    if words[1] == "venv":
        assert len(words) == 3
    else:
        assert words[1].split(".")[0] in ("unlearn_core", "benchmarks"), words
        assert importlib.util.find_spec(words[1]), f"there is no module {words[1]}"
        parse(words[1], words[2:])


def pip(words: Sequence[str]) -> None:
    assert words[0] == "install"
    assert words[1::2] == ["-r"] * (len(words) // 2), words
    for name in words[2::2]:
        assert (ROOT / name).is_file(), name


def streamlit(words: Sequence[str]) -> None:
    assert words[0] == "run"
    assert (ROOT / words[1]).is_file()
    streamlit_cli.main.commands["run"].make_context("run", list(words[1:]))


def bash(words: Sequence[str]) -> None:
    script = (ROOT / words[0]).read_text("utf-8")
    assert all(option in script for option in words[1:]), words


def installed(name: str) -> object:
    """What an installed package runs under a name of its own."""
    (program,) = entry_points(group="console_scripts", name=name)
    return program.load()


def flower(words: Sequence[str]) -> None:
    parse(installed(words[0]), words[1:])


def flwr(words: Sequence[str]) -> None:
    import typer  # comes with Flower

    group = typer.main.get_command(installed("flwr"))
    group.commands[words[0]].commands[words[1]].make_context(words[1], list(words[2:]))


def tool(words: Sequence[str]) -> None:
    """A program of the development environment, and the files that it is given."""
    assert shutil.which(words[0], path=Path(sys.executable).parent), words
    for word in words[1:]:
        assert "/" not in word or (ROOT / word).exists(), word


def export(words: Sequence[str]) -> None:
    assert all(re.fullmatch(r"[A-Z_]+=\S+", word) for word in words), words


def check(words: Sequence[str]) -> None:
    """Fails where a command could not be typed as it stands."""
    name = Path(words[0]).name
    by_name = {"python": python, "python3": python, "pip": pip, "streamlit": streamlit, "bash": bash}
    if name in by_name:
        by_name[name](words[1:])
    elif name in FLOWER:
        flower(words)
    elif name in ("pytest", "ruff"):
        tool([name, *words[1:]])
    else:
        assert name in ("flwr", "export"), f"{shlex.join(words)} is no command that this test knows"
        {"flwr": flwr, "export": export}[name](words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_typed(page: Path) -> None:
    for command in commands_of(page):
        for words in readings(command):
            check(words)


def test_a_wrong_command_is_found_out() -> None:
    for words in (
        ["python", "-m", "unlearn_core", "unlearn", "--model", "M", "--data", "D", "--layers", "3"],
        ["python", "-m", "unlearn_core", "forget"],
        ["python", "-m", "benchmarks.defaults", "--seeds", "3"],
        ["python", "-m", "benchmarks.none"],
        ["bash", ".ci/check", "--fast"],
        ["pip", "install", "-r", "requirements-none.txt"],
        ["flower-supernode", "--superlinks", "there"],
        ["rm", "-r", "."],
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(words)


def test_alternatives_and_optional_parts_are_all_read() -> None:
    assert readings("score --data D [--tap a|b] --forget CLASS[,CLASS] --partition iid|dirichlet:A") == [
        ["score", "--data", "digits", "--tap", tap, "--forget", "3", "--partition", partition]
        for tap in "ab"
        for partition in ("iid", "dirichlet:0.5")
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "studies").glob("*.json")), ids=lambda p: p.stem)
def test_the_command_that_repeats_a_stored_study_can_be_typed(path: Path) -> None:
    check(shlex.split(json.loads(path.read_text("utf-8"))["command"]))


# Options


def options_in(parser: argparse.ArgumentParser) -> set[str]:
    """Every option of a parser and of the parsers below it."""
    below = [a.choices.values() for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    own = {option for action in parser._actions for option in action.option_strings}
    return own.union(*(options_in(sub) for sub in itertools.chain(*below)))


@cache
def known_options() -> set[str]:
    """Every option of the command line, of the benchmarks, of the certificates and of Flower's programs."""
    top = parser_of("unlearn_core", ["models"])[0]
    (names,) = (a.choices for a in top._actions if isinstance(a, argparse._SubParsersAction))
    asked = [[name] for name in names]
    asked += [["unlearn", "--method", name] for name in METHODS]
    asked += [["sparsify", "--sparsifier", name] for name in SPARSIFIERS]
    parsers = [parser_of("unlearn_core", words)[0] for words in asked]
    modules = [f"benchmarks.{path.stem}" for path in (ROOT / "benchmarks").glob("*.py")]
    modules = [name for name in modules if name not in ("benchmarks.__init__", "benchmarks.record")]
    starts = [*modules, "unlearn_core.federated.certificates", *map(installed, FLOWER)]
    parsers += [parser_of(start, [])[0] for start in starts]
    return set().union(*(options_in(parser) for parser in parsers))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_is_quoted_exists(page: Path) -> None:
    quoted = [span for span in spans(page) if re.match(r"(\w+ )?--", span)]
    for span in quoted:
        options = re.findall(r"(?<!\S)--[a-z-]+", span)
        assert options, span
        assert set(options) <= known_options() | {"--no-browser"}, span


# Files, modules and links


def is_path(span: str) -> bool:
    """Whether what is quoted looks like a file or folder of this repository."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", span):
        return False
    inside = "/" in span and (ROOT / span.partition("/")[0]).exists()
    return inside or bool(re.search(r"\.(py|md|toml|txt|json|svg)$", span))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_quoted_exists(page: Path) -> None:
    for span in filter(is_path, spans(page)):
        assert list(ROOT.glob(span.replace("NAME", "*"))), f"{page.name} quotes {span}"


def test_what_looks_like_a_path() -> None:
    assert all(map(is_path, ("unlearn_core/none.py", "assets/studies", "pages/", "none.toml", "README.md")))
    assert not any(map(is_path, ("L/mean", "train/", "UA", "~/.flwr/config.toml", "run:ID", "ca.crt")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_is_quoted_exists(page: Path) -> None:
    for span in spans(page):
        if re.fullmatch(r"(unlearn_core|benchmarks|pages)(\.\w+)+", span):
            assert importlib.util.find_spec(span), f"{page.name} quotes {span}"


def test_every_module_and_folder_of_the_diagrams_exists() -> None:
    tree, flow = (content for language, content in blocks(CONTRIBUTING) if language == "text")
    for name in re.findall(r"^(\S+)  ", tree, re.MULTILINE):
        assert (ROOT / name).exists(), name
    core = ROOT / "unlearn_core"
    folders = "|".join(path.name for path in core.iterdir() if (path / "__init__.py").exists())
    modules = re.findall(rf"\b({folders})\.([a-z_]+)", flow)
    assert len(modules) > 5
    for folder, name in modules:
        assert importlib.util.find_spec(f"unlearn_core.{folder}.{name}"), f"{folder}.{name}"


def test_every_name_of_the_code_that_contributing_quotes_is_in_it() -> None:
    folders = ("unlearn_core", "pages", "tests", "benchmarks")
    files = [ROOT / "app.py", ROOT / ".ci" / "check", *(f for n in folders for f in (ROOT / n).rglob("*.py"))]
    words = set(re.findall(r"\w+", "\n".join(text_of(file) for file in files)))
    quoted = [span for span in spans(CONTRIBUTING) if not is_path(span)]
    names = {name for span in quoted for name in re.findall(r"\b[A-Z]\w{4,}", span)}
    assert {"DATASETS", "SparseRecipe", "UnlearnError", "LETHE_VENV"} <= names
    assert names <= words


def anchors(page: Path) -> set[str]:
    """The addresses of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.is_file(), f"{page.name} links to {target}"
        assert there.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"


def test_the_readme_leads_to_every_page() -> None:
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text_of(README))}
    assert {str(page.relative_to(ROOT)) for page in PAGES if page != README} <= linked


def test_every_result_is_told_of_and_there() -> None:
    quoted = set(spans(DOCS / "measured.md"))
    there = [*(ROOT / "benchmarks" / "results").iterdir(), *(ROOT / "assets" / "studies").iterdir()]
    assert {str(path.relative_to(ROOT)) for path in there} <= quoted


# README


def test_the_readme_begins_with_the_two_commands_and_is_short() -> None:
    first = [content.strip() for _, content in blocks(README)[:2]]
    assert first == FIRST_COMMANDS
    assert text_of(README).index(FIRST_COMMANDS[1]) < text_of(README).index("## ")
    assert len(README.read_bytes()) <= 8000


# Tables


def titles_of_the_pages() -> list[str]:
    """As `app.py` names them; read, as running it would start the app."""
    tree = ast.parse((ROOT / "app.py").read_text("utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PAGES"
    )
    return list(ast.literal_eval(value).values())


def test_every_page_of_the_app_has_its_section() -> None:
    headings = re.findall(r"^## (.*)$", prose(DOCS / "pages.md"), re.MULTILINE)
    assert headings == titles_of_the_pages()
    bold = set(re.findall(r"\*\*([A-Z][\w /]*)\*\*", text_of(README))) - {
        "Checkpoints",
        "Data",
        "Normalisation",
    }
    assert bold <= set(headings)


@pytest.mark.parametrize(
    ("heading", "entries"),
    [
        ("Unlearning methods", [m for m in METHODS.values() if not m.control]),
        ("Controls", [m for m in METHODS.values() if m.control]),
        ("Sparsifiers", list(SPARSIFIERS.values())),
    ],
)
def test_every_method_has_its_line(heading: str, entries: list) -> None:
    rows = [
        [entry.label, f"`{entry.name}`", entry.about, f"[{entry.paper}]({entry.link})" if entry.link else ""]
        for entry in entries
    ]
    assert cells(DOCS / "methods.md", heading) == rows


def test_every_architecture_normalisation_and_data_set_is_named() -> None:
    page = DOCS / "models-and-data.md"
    of_nets = [name for row in cells(page, "Checkpoints") for name in re.findall(r"`([^`]+)`", row[1])]
    assert sorted(of_nets) == sorted(ARCHITECTURES)
    (normalizations,) = (s for s in spans(page) if s.startswith("--normalize "))
    assert normalizations.split()[1].split("|") == [*NORMALIZATIONS, "MEAN/STD"]
    of_data = {re.split(r"[`:]", row[0])[1] for row in cells(page, "Data")}
    assert of_data == set(DATASETS)


def test_the_layers_are_those_that_are_checked() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = (c for c in config["contracts"] if c["id"] == "layers")
    checked = [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    assert [re.findall(r"`([^`]+)`", row[0]) for row in cells(CONTRIBUTING, "Layers")] == checked


def test_no_word_of_the_glossary_has_two_meanings() -> None:
    words = [word for row in cells(CONTRIBUTING, "Glossary") for word in row[0].split(", ")]
    assert len(words) > 20
    assert len(words) == len(set(words))


# Library


def test_the_example_of_the_library_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for language, content in blocks(DOCS / "library.md"):
        if language == "python":
            exec(compile(content, "library.md", "exec"), names)
    first, second, third = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"9\d\.\d% of the class are recognised", first)
    assert re.fullmatch(r"features\.\d+: channel \d+ is the most specific to class 3", second)
    assert re.fullmatch(r"\d+ channels pruned; 0\.0% of the class are left \(0\.0% to \d\.\d%\)", third)
    assert not list(tmp_path.iterdir())
