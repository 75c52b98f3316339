"""Help teaches by example, and the command line stays light."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from reconciler.cli.main import build
from tests.unit.cli.conftest import Run


def commands(group: typer.core.TyperGroup, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield every command's words."""
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, *path, name)


def whole() -> typer.core.TyperGroup:
    made = typer.main.get_command(build())
    assert isinstance(made, typer.core.TyperGroup)
    return made


ALL = list(commands(whole()))
LEAVES = [path for path in ALL if not any(other[:-1] == path for other in ALL)]


@pytest.mark.parametrize("path", [pytest.param(path, id=" ".join(path)) for path in LEAVES])
def test_help_has_an_example_that_is_one(run: Run, path: tuple[str, ...]) -> None:
    """Each command shows an example of itself, with options that it has."""
    text = run(*path, "--help").out
    said = re.sub(r"\\\n\s+", "", text.partition("Examples:")[2])
    examples = [
        line.strip() for line in said.splitlines() if f"reconciler {' '.join(path)}" in line
    ]
    assert examples
    options = set(re.findall(r"(?m)^  (?:(-\w), )?(--[a-z-]+)", text.partition("Options:")[2]))
    known = {name for pair in options for name in pair}
    for example in examples:
        words = shlex.split(example.rpartition("| ")[2], comments=True)
        assert {word for word in words if word.startswith("-")} - known == set(), example


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=" ".join(path) or "-") for path in [(), *ALL]]
)
def test_help_fits_a_terminal(run: Run, path: tuple[str, ...]) -> None:
    """No line is wider than 100 columns, no example than 80; every command says what it does."""
    ended = run(*path, "--help")
    assert ended.status == 0
    assert max(len(line) for line in ended.out.splitlines()) <= 100
    examples = ended.out.partition("Examples:")[2].splitlines()
    assert max(map(len, examples), default=0) <= 80
    assert "..." not in re.sub(r"\[[A-Z]+\]\.\.\.", "", ended.out)


def test_alone_it_shows_its_help(run: Run) -> None:
    """Without a command there is nothing to do but to explain."""
    assert run().out == run("--help").out
    assert run("project").out == run("project", "--help").out


def test_exit_statuses_are_documented(run: Run) -> None:
    """What scripts build on stands in the help."""
    text = run("deploy", "--help").out
    for status in ("0 deployed", "10 refused", "11 failed", "12 rolled back", "13", "14", "15"):
        assert status in text


def test_command_line_imports_nothing_of_the_daemon() -> None:
    """A command that asks the daemon something loads neither its code nor its libraries."""
    code = (
        "import sys\n"
        "from reconciler.cli.main import main\n"
        "main(['--help'])\n"
        "before = set(sys.modules)\n"
        "main(['status'])\n"
        "print('\\n'.join(sys.modules), '|', '\\n'.join(before))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    everything, _, for_help = ended.stdout.rpartition("|")
    loaded = set(everything.split())
    ours = {".".join(name.split(".")[:2]) for name in loaded if name.startswith("reconciler.")}
    assert ours == {"reconciler.cli", "reconciler.config", "reconciler.domain", "reconciler.log"}
    heavy = {"sqlalchemy", "fastapi", "dulwich", "oras", "uvicorn", "apscheduler"}
    assert loaded & heavy == set()
    assert {"httpx2", "rich.table"} & set(for_help.split()) == set()


def test_runs_as_a_module() -> None:
    """``python -m reconciler`` is the command, with its exit status."""
    ended = subprocess.run(
        [sys.executable, "-m", "reconciler", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: no such command")
