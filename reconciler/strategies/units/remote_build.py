"""``systemd-remote``: built on the host that it runs on, in a unit that outlives us."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from reconciler.domain.deployment import PreparedTarget, Release
from reconciler.domain.errors import CommandFailed, TargetUnreachable
from reconciler.domain.references import Digest
from reconciler.domain.target import NEEDED_TOOLS, Target, TargetStrategy
from reconciler.ports import Work
from reconciler.strategies.units.build_output import BoundedLines
from reconciler.strategies.units.release_maker import Bench
from reconciler.strategies.units.sources import Sources, commit_of
from reconciler.strategies.units.steps import Step, understood

#: Kept on the host of what a build says, from its beginning; the last 64 KiB come on top.
_OUTPUT_BYTES = 4 << 20
_LONGEST_LINE = 8192
#: Longer than a host takes to stop a build whose time is over, and to say so.
_GRACE = timedelta(minutes=5)
_CHECKOUT_TIMEOUT = timedelta(minutes=10)
_ASSEMBLE_TIMEOUT = timedelta(minutes=5)
#: Source: systemd.exec(5), ``$SERVICE_RESULT``.
_LOST = {
    "timeout": "took longer than it may, and was stopped",
    "oom-kill": "ran out of memory, and was ended by the host",
    "signal": "was ended by a signal on the host",
    "resources": "could not be started on the host",
}


@dataclass(frozen=True, slots=True)
class RemoteBuild:
    """``ReleaseMaker`` that builds on the host, in a work tree that stays there.

    The host needs no access to the git server: the commit is pushed to it from here.
    """

    sources: Sources
    timeout: timedelta
    tools: ClassVar[frozenset[str]] = NEEDED_TOOLS[TargetStrategy.SYSTEMD_REMOTE]
    builds_there: ClassVar[bool] = True

    def make(self, bench: Bench) -> Release:
        """Bring the commit over, build it, and assemble what was built; see the protocol."""
        with self.sources.alone(bench.work):
            repository = self.sources.fetch(bench.work)
            commit = commit_of(bench.work)
            bench.machine.push(repository, commit, bench.site.path("repository.git"))
        self._start(bench)
        if bench.work.target.build:
            self._follow(bench)
        return self._assemble(bench)

    def keep(self, work: Work, prepared: PreparedTarget) -> None:
        """Keep nothing: it is on its host alone; see the protocol."""

    def forget(
        self, target: Target, prepared: PreparedTarget, kept: Collection[PreparedTarget]
    ) -> None:
        """Drop nothing; see the protocol."""

    def _start(self, bench: Bench) -> None:
        target, own = bench.work.target, f"builds/{bench.work.deployment}"
        environment = [f"--setenv={name}={value}" for name, value in target.environment.items()]
        runner = ("--", "/bin/sh", bench.site.path(f"{own}/run.sh"), bench.site.path(own))
        # The service manager puts a variable's value in place of its name, unless it is doubled.
        build = (argument.replace("$", "$$") for argument in target.build)
        command = (*environment, *runner, str(_OUTPUT_BYTES), *build) if target.build else ()
        said = bench.steps.run(
            Step.BUILD,
            *bench.claim,
            *(
                commit_of(bench.work).text,
                target.source_folder or "",
                target.user,
                bench.site.builds,
            ),
            str(round(self.timeout.total_seconds())),
            *command,
            timeout=_CHECKOUT_TIMEOUT,
        )
        if target.build:
            found = said.strip() == "found"
            bench.work.log(
                "the build is under way or done already"
                if found
                else f"building on {target.host}: {' '.join(target.build)}"
            )

    def _follow(self, bench: Bench) -> None:
        """Pass on what the build says until it has ended.

        Raises:
            CommandFailed: it ended badly.
            TargetUnreachable: nobody knows how it ended; it may be started again.
        """
        lines = BoundedLines(bench.work.log)
        progress, rest = _Progress(), ""
        until = time.monotonic() + (self.timeout + _GRACE).total_seconds()
        while progress.state == "running" or progress.more:
            if time.monotonic() > until:
                host = bench.machine.name
                raise CommandFailed(f"host {host} does not say how the build ended", host=host)
            progress, text = self._ask(bench, progress.offset)
            *whole, rest = (rest + text).split("\n")
            if len(rest) > _LONGEST_LINE:
                whole, rest = [*whole, rest], ""
            for line in whole:
                lines.take(line)
        if rest:
            lines.take(rest)
        lines.finish()
        _require_success(bench, progress)

    def _ask(self, bench: Bench, offset: int) -> tuple["_Progress", str]:
        own = (bench.site.folder, str(bench.work.deployment), bench.site.builds)
        said = bench.steps.run(Step.FOLLOW, *own, str(offset))
        with understood(bench.machine.name):
            header, position, text = said.split("\n", 2)
            state, _, result = header.partition(" ")
            size, _, more = position.partition(" ")
            return _Progress(int(size), more == "1", state, result), text

    def _assemble(self, bench: Bench) -> Release:
        target = bench.work.target
        said = bench.steps.run(
            Step.ASSEMBLE,
            *bench.claim,
            *(commit_of(bench.work).text, bench.site.builds, target.source_folder or ""),
            *(bench.site.binary, bench.unit_text, *target.files),
            timeout=_ASSEMBLE_TIMEOUT,
        )
        with understood(bench.machine.name):
            name, digest = said.split()
        return Release(name, Digest.parse(f"sha256:{digest}"))


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far a build is."""

    offset: int = 0  #: in bytes, of what it said and we know
    more: bool = False  #: whether it said more than we were told at once
    state: str = "running"  #: ``running``, ``done`` or ``lost``
    result: str = ""  #: its exit status once it is done; of a lost one what systemd knows


def _require_success(bench: Bench, progress: _Progress) -> None:
    host, result = bench.machine.name, progress.result
    if progress.state == "lost" and result in _LOST:
        raise CommandFailed(f"the build {_LOST[result]}", host=host, result=result)
    if progress.state == "lost":
        raise TargetUnreachable(
            f"host {host} knows nothing of the build any more: was it restarted?", host=host
        )
    if result != "0":
        message = f"the build ended with exit status {result}"
        raise CommandFailed(message, host=host, exit_status=result)
