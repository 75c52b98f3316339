"""Our reading of variables and ``.env`` files, held against compose's own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.interpolation import interpolate

pytestmark = pytest.mark.needs_docker

VARIABLES = {"TAG": "1.2", "EMPTY": "", "WORD": "a-b", "OTHER": "x"}
EXPRESSIONS = (
    "app:1",
    "app:$TAG",
    "app:${TAG}",
    "$TAG-x",
    "a$$TAG",
    "a$$$TAG",
    "${NONE:-x}",
    "${NONE-x}",
    "${EMPTY:-x}",
    "z${EMPTY-x}",
    "${TAG:-x}",
    "z${NONE:-}",
    "${NONE:-${TAG}}",
    "${NONE:-${UNSET:-a${TAG}b}}c",
    "${NONE:-a$$b}",
    "${NONE:-a:b-c}",
    "${TAG:+yes}",
    "z${NONE:+yes}",
    "${EMPTY+yes}",
    "z${EMPTY:+yes}",
    "${TAG:?needed}",
    "${NONE:-$TAG}",
    "${TAG:+${WORD}}",
    "${NONE:-{x}}",
    "${WORD}/${OTHER}:${TAG}",
)
ENVIRONMENT_FILES = (
    "A=b",
    "export A=b",
    "A = b ",
    "A: b",
    "A=",
    "# c\n\nA=b # c",
    "A=b#c",
    "A='b $C'",
    'A="b\\nc"',
    'A="b\nc"\nD=e',
    "A=b\nC=${A}d$A",
    "A=${NONE:-x}",
    "A=$NONE",
    'A="a\\$b"',
    "A=b\r\nC=d\r\n",
    "A=b\nA=c",
    "A='it' # c",
    'A="say \\"x\\"" # c',
    "A=b c d",
    "A=\tb",
    "A=b\\nc",
    'A="x${TAG:-y}z"',
)


def rendered(folder: Path, compose: str, environment_file: str) -> dict[str, str]:
    """Return what compose makes of the ``image`` texts below ``x-texts`` (or the environment)."""
    (folder / "compose.yaml").write_text(compose)
    (folder / "file.env").write_bytes(environment_file.encode())
    done = subprocess.run(
        ["docker", "compose", "--env-file", "file.env", "config", "--format", "json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    environment: dict[str, str] = json.loads(done.stdout)["services"]["a"]["environment"]
    return {name: value.replace("$$", "$") for name, value in environment.items()}


def test_variables_resolve_as_compose_resolves_them(tmp_path: Path) -> None:
    """Every form of the syntax, in one file."""
    lines = [f"      T{at}: {json.dumps(text)}" for at, text in enumerate(EXPRESSIONS)]
    compose = "services:\n  a:\n    image: a\n    environment:\n" + "\n".join(lines)
    theirs = rendered(tmp_path, compose, "".join(f"{n}={v}\n" for n, v in VARIABLES.items()))
    ours = {f"T{at}": interpolate(text, VARIABLES) for at, text in enumerate(EXPRESSIONS)}
    assert ours == theirs


@pytest.mark.parametrize("text", ENVIRONMENT_FILES)
def test_environment_files_read_as_compose_reads_them(tmp_path: Path, text: str) -> None:
    """Quotes, escapes, comments, and references to earlier lines."""
    ours = RuamelComposeReader().read_environment(text.encode())
    names = ", ".join(ours)
    compose = f"services: {{a: {{image: a, environment: [{names}]}}}}"
    assert dict(ours) == rendered(tmp_path, compose, text)
