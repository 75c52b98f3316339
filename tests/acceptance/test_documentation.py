"""What README and docs say is what the product does."""

import contextlib
import io
import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

from reconciler.cli.main import main
from tests.parts.child import free_port
from tests.parts.daemon import PROGRAM, Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Registry

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
#: As whom, or where, a command is run.
_AS = re.compile(r"^(sudo|docker exec .* python -m) (?=reconciler )")
_INLINE = re.compile(r"`(reconciler [a-z][^`\n]*)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


def commands(page: Path) -> list[list[str]]:
    """Return each `reconciler …` command that the page names, as words."""
    text = page.read_text()
    lines = [_AS.sub("", line) for block in _BLOCK.findall(text) for line in _joined(block)]
    found = [line.partition(" | ")[2] or line for line in lines]
    words = [shlex.split(line, comments=True) for line in [*found, *_INLINE.findall(text)]]
    return [line for line in words if line[:1] == ["reconciler"]]


def _joined(block: str) -> list[str]:
    return [line.strip() for line in block.replace("\\\n", " ").splitlines()]


@cache
def help_of(*words: str) -> str:
    # In this process: there are many of them, and each of its own takes a quarter of a second.
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as environment, contextlib.redirect_stdout(printed):
        environment.setenv("COLUMNS", "200")
        environment.setenv("NO_COLOR", "1")
        assert main([*words, "--help"]) == 0, f"reconciler {' '.join(words)}"
    return printed.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists_with_its_options(page: Path) -> None:
    """A reader can type what stands there."""
    for line in commands(page):
        words: list[str] = []
        for word in line[1:]:
            if not re.fullmatch(r"[a-z-]+", word) or word.startswith("-"):
                break
            text = help_of(*words)
            if not re.search(rf"^  {re.escape(word)}\s", text, re.MULTILINE):
                break
            words.append(word)
        text = help_of(*words)
        assert words, f"{page.name}: no such command: {' '.join(line)}"
        for option in (word for word in line if word.startswith("--")):
            assert option in text, f"{page.name}: {' '.join(line)}: no {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files that are named are there."""
    for target in _LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_names_every_page() -> None:
    """A page that nothing leads to is not read."""
    named = set(_LINK.findall((ROOT / "README.md").read_text()))
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= named


@pytest.mark.needs_docker
@pytest.mark.needs_registry
@pytest.mark.needs_git
@pytest.mark.timeout(240)
def test_the_five_minutes_run_as_they_stand(
    tmp_path: Path, engine: DockerEngine, registry: Registry
) -> None:
    """Each block of the tour, word by word, on a new daemon.

    Only what a test machine can't have is exchanged: the ports, the base image (one that is made
    here), the registry (which runs already), and the prompt for the password.
    """
    base = engine.unique("tour-base")
    engine.docker("tag", engine.busybox_image(), base)
    with Daemon({"stability_unchecked_seconds": 2}) as daemon:
        tour = _Tour(daemon, tmp_path, _exchanges(daemon, registry, base))
        first, image, push, moved, switch, clean = tour.blocks
        tour.token = tour.run(first).strip().splitlines()[-1].split()[-1]
        tour.run(image)
        assert "version 1" in tour.run(push)
        assert "version 2" in tour.run(moved)
        off = tour.run(switch)
        assert "trying it out" in off
        tour.run(clean)
        assert daemon.api.get("/projects").json()["items"] == []
    made = engine.docker("images", "--all", "--quiet", f"{registry.host}/shop").split()
    engine.docker("rmi", "--force", base, *made)


def _exchanges(daemon: Daemon, registry: Registry, base: str) -> dict[str, str]:
    return {
        "127.0.0.1:8484": f"127.0.0.1:{daemon.port}",
        "localhost:5000": registry.host,
        "docker run -d --name tour-registry -p 127.0.0.1:5000:5000 registry:2": "true",
        "docker rm -f shop-web-1 tour-registry": "docker rm -f shop-web-1",
        "127.0.0.1:8080:8080": f"127.0.0.1:{(port := free_port())}:8080",
        "http://127.0.0.1:8080": f"http://127.0.0.1:{port}",
        "FROM busybox": f"FROM {base}",
    }


class _Tour:
    """A reader's terminal: one shell folder, one environment."""

    def __init__(self, daemon: Daemon, folder: Path, exchanges: dict[str, str]) -> None:
        text = (ROOT / "README.md").read_text()
        section = text[text.index("## Five minutes") : text.index("## Where to read on")]
        self.blocks = _BLOCK.findall(section)
        for before, after in exchanges.items():
            assert before in section, before
            self.blocks = [block.replace(before, after) for block in self.blocks]
        self.folder = folder
        self.token = ""
        ask = folder / "askpass"
        ask.write_text('#!/bin/sh\necho "$TOUR_TOKEN"\n')
        ask.chmod(0o700)
        self.environment = {
            **daemon.environment,
            "RECONCILER_SOCKET": str(daemon.socket),
            "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
            "GIT_ASKPASS": str(ask),
        }

    def run(self, block: str) -> str:
        """Run the block where the last one ended; return what it printed."""
        inside = self.folder / "tour"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=inside if inside.exists() else self.folder,
            env={**self.environment, "TOUR_TOKEN": self.token},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout
