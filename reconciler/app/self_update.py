"""``python -m reconciler.app.self_update FOLDER``: replaces the daemon, from a container beside it.

It is the old version's program, and needs neither the database nor the configuration: what it does
stands in the folder. It may be killed at any time; the engine starts it again, and it goes on.
"""

import logging
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import ReconcilerError, TargetUnreachable
from reconciler.domain.references import ProjectName
from reconciler.domain.verification import RunState, Sample
from reconciler.log import Redactor, set_up_logs
from reconciler.ports import Command, Engine
from reconciler.strategies.compose.cli import ComposeCall, ComposeCli, ComposeOptions
from reconciler.strategies.compose.switch import Plan, Switch

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
#: Between two tries of bringing the old version back, which goes on until it is there.
_AGAIN_SECONDS = 5.0
_ENDED = frozenset({RunState.EXITED, RunState.DEAD, RunState.RESTARTING})


@dataclass(frozen=True, slots=True)
class Replacement:
    """One switch under way."""

    switch: Switch
    plan: Plan
    cli: ComposeCli
    engine: Engine

    def carry_out(self) -> None:
        """Bring the new version up, and the old one where the new one does not prove itself."""
        if not self.switch.read("done"):
            if not self.switch.verdict:
                self._switch()
            while self.switch.went_back and not self._brought_up("back.json"):
                time.sleep(_AGAIN_SECONDS)
        self.switch.end()

    def _switch(self) -> None:
        try:
            self._up("forward.json")
            self.switch.note("switched")
            self._watch()
        except ReconcilerError as error:
            self.switch.go_back(error.message)

    def _watch(self) -> None:
        """Return once there is a verdict: ours, where the new version ends or takes too long."""
        until = time.monotonic() + self.plan.patience_seconds
        while not self.switch.verdict:
            with suppress(TargetUnreachable):  # an engine that is restarted says nothing of it
                self._look()
            if time.monotonic() > until:
                self.switch.go_back("it was not ready in time")
            time.sleep(_LOOK_SECONDS)

    def _look(self) -> None:
        for sample in self.engine.containers(ProjectName(self.plan.project)):
            if sample.service == self.plan.service and (why := self._trouble(sample)):
                self.switch.go_back(why)

    def _trouble(self, sample: Sample) -> str:
        restarted = sample.restarts > 0 and sample.id != self.plan.container
        if sample.state not in _ENDED and not restarted:
            return ""
        said = " ".join(self.engine.last_lines(sample.id, 1))
        status = "" if sample.exit_status is None else f" with exit status {sample.exit_status}"
        return f"it ended{status}" + (f": {said}" if said else "")

    def _brought_up(self, name: str) -> bool:
        try:
            self._up(name)
        except ReconcilerError as error:
            _log.warning("the old version can't be brought up yet: %s", error.message)
            return False
        return True

    def _up(self, name: str) -> None:
        folder = self.switch.folder
        call = ComposeCall(
            project=ProjectName(self.plan.project),
            folder=folder,
            files=(folder / name,),
            environment_file=Path("/dev/null"),
            docker_config=folder,
        )
        self.cli.up(call, _log.info, threading.Event())


def main(folder: Path) -> None:
    """Carry the switch in ``folder`` out, and remove the container that we run in."""
    switch = Switch(folder)
    plan = switch.plan
    runner = LocalRunner(f"self-update-{folder.name}")
    engine = DockerEngine(plan.docker_host)
    cli = ComposeCli(runner, ComposeOptions(folder, docker_host=plan.docker_host))
    Replacement(switch, plan, cli, engine).carry_out()
    removal = ("docker", "rm", "--force", "--", plan.replacer)
    runner.run(Command(removal, env={"DOCKER_HOST": plan.docker_host}))


if __name__ == "__main__":
    set_up_logs(Redactor(), level="info", style="text")
    main(Path(sys.argv[1]))
