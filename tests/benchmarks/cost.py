"""What work takes: wall time, and CPU time with that of the processes it started."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.benchmarks.table import median

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Of one piece of work."""

    seconds: float
    cpu_seconds: float

    @classmethod
    def middle(cls, costs: Sequence[Self]) -> "Cost":
        """Return the median of each figure."""
        return Cost(
            median([cost.seconds for cost in costs]),
            median([cost.cpu_seconds for cost in costs]),
        )


def cost_of(work: Callable[[], object], *, times: int = 1) -> Cost:
    """Return what one call costs in this process and in children that it waits for."""
    burnt, began = _own_cpu_seconds(), time.perf_counter()
    for _ in range(times):
        work()
    took = time.perf_counter() - began
    return Cost(took / times, (_own_cpu_seconds() - burnt) / times)


def cost_of_command(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[Cost, str]:
    """Run ``argv`` once, which must end well; return its cost and what it printed."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
        )
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    assert process.returncode == 0, f"{argv}: {process.returncode}\n{said}"
    return Cost(took, usage.ru_utime + usage.ru_stime), said


def peak_bytes_of_command(argv: Sequence[str | Path], *, env: Mapping[str, str]) -> int:
    """Run ``argv`` once; return the resident memory of the largest of its processes.

    A process is charged with what its parent held when it was started, so the parent is a small
    one: some 10 MB are the least that this can tell.
    """
    program = (
        "import os, sys; "
        "pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, "
        "file_actions=[(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)]); "
        "print(os.wait4(pid, 0)[2].ru_maxrss)"
    )
    command = [sys.executable, "-I", "-S", "-c", program, *map(str, argv)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=60)
    return int(done.stdout) * 1024


def cpu_seconds_of(pid: int) -> float:
    """Return what the process burnt so far, with its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_A_SECOND


def resident_bytes_of(pid: int, *, peak: bool = False) -> int:
    """Return its resident memory now, or at its highest."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(wanted)).split()[1]) * 1024


def _own_cpu_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
