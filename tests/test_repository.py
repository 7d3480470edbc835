"""What must be true of the repository itself: its requirements, its borders, its scripts, its look."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import unlearn_core

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
TEST_COMMAND = "bash .ci/check"
TORCH_FREE = (
    "channels.activations",
    "channels.pruning",
    "channels.scoring",
    "checkpoints.catalog",
    "data.sources",
    "errors",
    "federated.request",
    "home",
    "params",
    "progress",
    "running.jobs",
    "running.kinds.registry",
    "running.worker",
    "sparsify.registry",
    "store.files",
    "store.locks",
    "store.runs",
    "unlearning.advice",
    "unlearning.beside",
    "unlearning.registry",
    "workflows.requests",
)


def requirement_lines(name: str) -> list[str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith(("#", "-"))]


def files() -> Iterator[Path]:
    """Every file of the checkout, without environments, caches and git's own."""
    for folder, folders, names in os.walk(ROOT):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if name in (".ci", ".streamlit", ".github")
            or not (name.startswith(".") or name == "__pycache__" or (here / name / "pyvenv.cfg").exists())
        ]
        yield from (here / name for name in names)


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_bounded_on_both_sides_and_says_why(name: str) -> None:
    lines = requirement_lines(name)
    assert len(lines) >= 8
    for line in lines:
        text, _, reason = line.partition("#")
        operators = {specifier.operator for specifier in Requirement(text.strip()).specifier}
        assert operators == {">=", "<"}, line
        assert reason.strip(), line


def test_the_development_requirements_begin_with_those_to_run() -> None:
    lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    first = next(line for line in lines if line.strip() and not line.startswith("#"))
    assert first == "-r requirements.txt"


def test_no_requirement_is_named_twice() -> None:
    names = [
        Requirement(line.partition("#")[0].strip()).name
        for file in ("requirements.txt", "requirements-dev.txt")
        for line in requirement_lines(file)
    ]
    assert sorted(names) == sorted(set(names))


def test_a_client_needs_a_part_of_what_the_server_needs() -> None:
    whole = {
        (r.name, r.specifier)
        for file in ("requirements.txt", "requirements-federated.txt")
        for r in (Requirement(line.partition("#")[0].strip()) for line in requirement_lines(file))
    }
    client = [
        Requirement(line.partition("#")[0].strip()) for line in requirement_lines("requirements-client.txt")
    ]
    assert {(r.name, r.specifier) for r in client} < whole


def test_a_client_loads_nothing_that_only_the_server_and_the_pages_need() -> None:
    pytest.importorskip("flwr")
    of_others = {"streamlit", "pandas", "altair", "matplotlib", "plotly", "sklearn", "torchvision"}
    script = (
        f"import sys, unlearn_core.federated.flower.client_app; print(sorted({of_others} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_foreign_import_of_the_core_and_the_pages_is_required() -> None:
    required = {Requirement(line.partition("#")[0]).name for line in requirement_lines("requirements.txt")}
    modules = {name.replace("-", "_") for name in required} | {"unlearn_core", "PIL", "sklearn"}
    sources = [*(ROOT / "unlearn_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]
    own = {path.stem for path in ROOT.glob("*.py")} | {"pages"}
    for path in sources:
        # Federated runs need a second file of requirements.
        extra = {"flwr", "httpx", "cryptography"} if "federated" in path.parts else set()
        foreign = imported(path) - sys.stdlib_module_names - modules - own - extra
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == unlearn_core.__version__


def test_the_core_imports_no_streamlit() -> None:
    sources = list((ROOT / "unlearn_core").rglob("*.py"))
    assert len(sources) > 10
    assert [path.name for path in sources if "streamlit" in imported(path)] == []


def test_the_pages_draw_and_never_compute() -> None:
    sources = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]
    assert len(sources) > 50
    for path in sources:
        computing = imported(path) & {
            "numpy", "scipy", "sklearn", "sqlite3", "torch", "torch_pruning", "torchvision",
        }  # fmt: skip
        assert not computing, f"{path.relative_to(ROOT)} imports {computing}"


def test_the_first_screen_and_the_jobs_load_no_torch() -> None:
    names = ", ".join(f"unlearn_core.{name}" for name in TORCH_FREE)
    heavy = "{'torch', 'torchvision', 'sklearn', 'streamlit', 'pandas'}"
    script = f"import sys, {names}; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_cold_start_on_the_bundled_data_loads_no_compiler_and_no_scikit_learn() -> None:
    # Each is over a second of every command, and of every message that a client of a deployed federation answers.
    script = (
        "import sys; from unlearn_core.checkpoints.model_files import open_model; from unlearn_core.data.sources import *; "
        "open_model('bundled:digits-vgg11'); open_dataset(parse_dataset('digits')); "
        "print(sorted({'torch._dynamo', 'sympy', 'sklearn', 'pandas', 'torchvision'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_no_file_names_a_package_registry() -> None:
    # Where packages come from is the business of whoever installs; put together here, so as not to name them.
    hosts = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"))]
    hosts += [".".join(("download", "pytorch", "org")) + "/whl", "--index" + "-url", "--find" + "-links"]
    seen = 0
    for path in files():
        content = path.read_bytes()
        seen += 1
        for host in hosts:
            assert host.encode() not in content, f"{path.relative_to(ROOT)} names {host}"
    assert seen > 30


def test_no_module_is_a_drawer_for_leftovers() -> None:
    leftovers = {"utils.py", "helpers.py", "common.py", "misc.py", "utils", "helpers"}
    assert [path for path in files() if leftovers & {path.name, path.parent.name}] == []


def test_the_bundled_weights_stay_small() -> None:
    weights = [path for path in files() if path.suffix == ".safetensors"]
    assert weights
    assert sum(path.stat().st_size for path in weights) <= 6_000_000


def test_ci_runs_the_command_of_the_readme() -> None:
    commands = [
        line.strip()
        for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
        if line.strip() and not line.startswith(("#", "set ", "cd "))
    ]
    assert commands == [TEST_COMMAND]
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert TEST_COMMAND in [line.strip() for line in readme]


def test_the_scripts_can_be_started_and_parsed() -> None:
    for name in ("run", "check"):
        script = ROOT / ".ci" / name
        assert os.access(script, os.X_OK), f"{script} can't be executed"
        subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["--fast"], {}, "Unknown argument '--fast': the only one is --no-browser."),
        (["--no-browser"], {"CI": "true"}, "--no-browser is refused where CI=true"),
    ],
)
def test_the_check_refuses_in_one_sentence(
    arguments: list[str], variables: dict[str, str], sentence: str
) -> None:
    ran = subprocess.run(
        ["bash", ".ci/check", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith(sentence)
    assert ran.stderr.count("\n") == 1


LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"


def bare_debian(folder: Path, apt_get: str) -> dict[str, str]:
    """The environment of a Debian machine without a Chromium, on which only `.ci/check`'s own steps are real.

    Its `apt-get` writes its arguments to the file `calls` and goes on as said; nobody waits in earnest.
    """
    programs = folder / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "env", "chmod"):
        (programs / name).symlink_to(str(shutil.which(name)))
    scripts = {
        "apt-get": f'echo "$@" >> {folder}/calls\n{apt_get}',
        "grep": f'[ "$2" = "^ID=debian$" ] || exec {shutil.which("grep")} "$@"',
        "id": "echo 0",
        "sleep": f'echo "$@" >> {folder}/naps',
        **dict.fromkeys(("python", "lint-imports"), "exit 0"),
    }
    for name, script in scripts.items():
        (programs / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
        (programs / name).chmod(0o755)
    return {"PATH": str(programs), "LETHE_VENV": str(folder)}


def checked_on(machine: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(shutil.which("bash")), ".ci/check"],
        cwd=ROOT,
        env=machine,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_check_waits_while_another_apt_get_holds_a_lock(tmp_path: Path) -> None:
    # The lists are locked twice, then the packages once.
    chromium = f"{tmp_path}/bin/chromium"
    machine = bare_debian(
        tmp_path,
        f"""
        count=0; while read -r _; do count=$((count + 1)); done < {tmp_path}/calls
        case $count in 1 | 2 | 4) echo '{LOCKED}' >&2; exit 100 ;; 5) : > {chromium}; chmod +x {chromium} ;; esac""",
    )
    ran = checked_on(machine)
    assert ran.returncode == 0, ran.stderr
    calls = [line.split() for line in (tmp_path / "calls").read_text("utf-8").splitlines()]
    assert [("update" in call, "chromium" in call) for call in calls] == [(True, False)] * 3 + [
        (False, True)
    ] * 2
    assert f"Chromium: {chromium}" in ran.stdout
    assert ran.stdout.count("waiting") == 2
    assert ran.stderr == ""


def test_the_check_waits_for_no_longer_than_ten_minutes(tmp_path: Path) -> None:
    ran = checked_on(bare_debian(tmp_path, f"echo '{LOCKED}' >&2; exit 100"))
    assert ran.returncode == 1
    assert sum(int(nap) for nap in (tmp_path / "naps").read_text("utf-8").split()) == 600
    assert ran.stderr.startswith(f"{LOCKED}\nNo Chromium was found for the browser tests")


def test_the_check_does_not_wait_for_what_waiting_cannot_mend(tmp_path: Path) -> None:
    ran = checked_on(bare_debian(tmp_path, "echo 'E: Unable to locate package chromium' >&2; exit 100"))
    assert ran.returncode == 1
    assert not (tmp_path / "naps").exists()
    assert ran.stderr.startswith("E: Unable to locate package chromium\nNo Chromium was found")


def test_streamlit_takes_every_setting() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "streamlit", "config", "show"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    output = ran.stdout + ran.stderr
    assert "not a valid config option" not in output
    assert re.search(r'^address = "127.0.0.1"$', output, re.MULTILINE)


def test_the_app_is_closed_unless_somebody_opens_it() -> None:
    server, client = CONFIG["server"], CONFIG["client"]
    assert server["address"] == "127.0.0.1"
    assert set(server["allowedHosts"]) == {"localhost", "127.0.0.1"}
    assert server["enableXsrfProtection"]
    assert client["showErrorDetails"] == "none"
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert "http" not in (ROOT / ".streamlit" / "config.toml").read_text("utf-8")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(
        4.48, abs=0.005
    )  # the standard's well-known near miss


@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_theme_can_be_read(name: str) -> None:
    theme = CONFIG["theme"][name]
    grounds = [
        part[ground]
        for part in (theme, theme["sidebar"])
        for ground in ("backgroundColor", "secondaryBackgroundColor")
    ]
    for ground in grounds:
        for text in ("textColor", "linkColor", "grayTextColor", "codeTextColor"):
            assert contrast(theme[text], ground) >= 4.5, (text, ground)
        assert contrast(theme["primaryColor"], ground) >= 3, ground
    assert contrast("#FFFFFF", theme["primaryColor"]) >= 4.5  # the text on a primary button is always white


@pytest.mark.parametrize("name", ["light", "dark"])
def test_charts_have_whole_palettes(name: str) -> None:
    theme = CONFIG["theme"] | CONFIG["theme"][name]
    sequential = [luminance(colour) for colour in theme["chartSequentialColors"]]
    diverging = [luminance(colour) for colour in theme["chartDivergingColors"]]
    assert len(sequential) == len(diverging) == 10  # Streamlit drops a palette of any other length
    assert sequential == sorted(sequential)
    assert len(set(theme["chartCategoricalColors"])) == 8
    towards_middle = [abs(value - luminance(theme["backgroundColor"])) for value in diverging]
    assert max(towards_middle[4:6]) < min(towards_middle[0], towards_middle[9])


def test_charts_are_seen_on_both_grounds() -> None:
    for colour in CONFIG["theme"]["chartCategoricalColors"]:
        for name in ("light", "dark"):
            assert contrast(colour, CONFIG["theme"][name]["backgroundColor"]) >= 2, (colour, name)
