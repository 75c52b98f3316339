"""What a process that forbids core dumps leaves, and what it hands on."""

import os
import subprocess
import sys

from reconciler.adapters.process import LocalRunner
from reconciler.ports import Command

_CODE = """
import ctypes, os, resource, subprocess
from reconciler.adapters.core_dumps import forbid_core_dumps
forbid_core_dumps()
child = "import ctypes; print(ctypes.CDLL(None).prctl(3))"
print(ctypes.CDLL(None).prctl(3), *resource.getrlimit(resource.RLIMIT_CORE), flush=True)
subprocess.run([__import__("sys").executable, "-c", child], check=True)
print(len(os.listdir("/proc/self/fd")) > 0, flush=True)
os.abort()
"""


def test_an_abort_leaves_no_core() -> None:
    """Programs that it starts are as any others; it finds its own way about itself."""
    process = subprocess.Popen([sys.executable, "-c", _CODE], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = process.stdout.read().splitlines()
    _, status = os.waitpid(process.pid, 0)
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert said == ["0 0 0", "1", "True"]
    assert (os.WTERMSIG(status), os.WCOREDUMP(status)) == (6, False)


def test_a_child_is_given_what_its_command_names_and_no_more() -> None:
    """Settings in our environment may be secrets."""
    said = LocalRunner("a life").run(Command(("env",), env={"DOCKER_HOST": "unix:///x"})).stdout
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names == {"PATH", "LC_ALL", "RECONCILER_LIFE", "DOCKER_HOST"}
