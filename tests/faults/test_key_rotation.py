"""A rotation of the master key that is killed goes on, from wherever it was."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault
_ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("trials", [4, pytest.param(1500, marks=pytest.mark.slow)])
def test_killed_at_any_line_it_goes_on(tmp_path: Path, trials: int) -> None:
    """By the command or a start of the daemon: all opens, with one key, and no other is left."""
    argv = [sys.executable, "-m", "tests.parts.rotation_worker", str(tmp_path), str(trials)]
    done = subprocess.run(argv, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    assert list(said["outcomes"]) == ["well"], said
    assert len(said["outcomes"]["well"]) == trials
    assert said["lines"] > 500
