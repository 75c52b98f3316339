"""The compose project that the daemon itself runs in: a container that outlives it replaces it."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from reconciler.domain.deployment import DeploymentId, PreparedTarget
from reconciler.domain.errors import CommandFailed, HandedOver, RolloutError
from reconciler.ports import Command, CommandRunner, OwnContainer, Work
from reconciler.strategies.compose.switch import Plan, Switch

#: What a container that is there already is answered with.
_NAME_TAKEN = "is already in use"
#: What one that is not there is answered with.
_NO_CONTAINER = "No such container"
_LABEL = "reconciler.self-update"
_STARTED_WITHIN = timedelta(minutes=1)
#: In which what brought the old version back says that it is done.
_DONE_WITHIN_SECONDS = 20.0

#: Renders what was prepared, pinned, as one file that needs nothing else.
Render = Callable[[PreparedTarget], str]


@dataclass(frozen=True, slots=True)
class Renderings:
    """The project as it is to become, and as it is; empty where nobody knows that."""

    forward: str
    back: str


@dataclass(frozen=True, slots=True)
class SelfUpdates:
    """Replacements of the daemon, in ``folder``."""

    folder: Path
    runner: CommandRunner
    docker_host: str
    python: str
    patience: timedelta

    def apply(
        self, work: Work, prepared: PreparedTarget, own: OwnContainer, render: Render
    ) -> None:
        """See that ``own``, the daemon's project, becomes what was prepared. Safe to repeat.

        Returns where that is so already: in the process that was brought up for it.

        Raises:
            HandedOver: a container does it, and ends this process.
            RolloutError: it was done, and did not hold; the old version runs again.
        """
        switch = self._find(work.deployment, prepared)
        if switch.exists:
            self._go_on(switch, work, own)
        elif self._took_back(work, prepared, own):
            render(prepared)  # which takes the work tree along
        else:
            # The last one rendered leaves the work tree as it is to be.
            back = render(work.earlier) if work.earlier else ""
            self._begin(switch, work, own, Renderings(render(prepared), back))

    def confirm(self, work: Work, prepared: PreparedTarget) -> None:
        """Say that the new version stays.

        Raises:
            RolloutError: it is too late: the old version is on its way back.
        """
        switch = self._find(work.deployment, prepared)
        if switch.exists and not switch.confirm():
            raise _did_not_hold(switch)

    def drop_half_written(self) -> None:
        """Delete what a killed process left half written; there are secrets in it."""
        for part in self.folder.glob(".*"):
            shutil.rmtree(part, ignore_errors=True)

    # ── One deployment ────────────────────────────────────────────────────────────────────────

    def _go_on(self, switch: Switch, work: Work, own: OwnContainer) -> None:
        plan = switch.plan
        if switch.went_back:
            raise _did_not_hold(switch)
        if own.id != plan.container:
            switch.note("new", own.id)
            work.log("this is the new version")
        elif not switch.read("switched"):
            self._start(switch, plan, work, own)
            raise HandedOver(f"{plan.replacer} replaces this daemon")

    def _took_back(self, work: Work, prepared: PreparedTarget, own: OwnContainer) -> bool:
        """Tell whether ``prepared`` runs again because this deployment's own switch went back.

        Raises:
            HandedOver: that is under way.
        """
        for switch in self._all(f"{work.deployment}-"):
            if switch.plan.earlier != prepared.override_file:
                continue
            if not switch.go_back("it was not well once it ran"):
                continue  # it had been confirmed: this is another switch
            if own.id == switch.read("new") or not _is_done(switch, work):
                raise HandedOver(f"{switch.plan.replacer} brings the old version back")
            work.log(f"the new version did not hold: {switch.went_back}")
            return True
        return False

    def _begin(self, switch: Switch, work: Work, own: OwnContainer, renderings: Renderings) -> None:
        self._sweep()
        plan = Plan(
            project=own.project,
            service=own.service,
            container=own.id,
            docker_host=self.docker_host,
            replacer=f"reconciler-self-update-{own.project}-{switch.folder.name}",
            earlier=work.earlier.override_file if work.earlier else "",
            patience_seconds=self.patience.total_seconds(),
        )
        forward = renderings.forward
        switch.make(plan, forward, renderings.back or _as_it_runs(forward, own))
        self._start(switch, plan, work, own)
        raise HandedOver(f"{plan.replacer} replaces this daemon")

    def _start(self, switch: Switch, plan: Plan, work: Work, own: OwnContainer) -> None:
        """Start the container that does it, of the image that runs here; one a switch."""
        argv = (
            *("docker", "run", "--detach", "--name", plan.replacer),
            *("--label", f"{_LABEL}={work.deployment}", "--restart", "unless-stopped"),
            *("--volumes-from", own.id, "--network", "none", *_user(own)),
            *("--entrypoint", self.python, own.image),
            *("-m", "reconciler.app.self_update", str(switch.folder)),
        )
        command = Command(argv, env={"DOCKER_HOST": self.docker_host}, timeout=_STARTED_WITHIN)
        result = self.runner.run(command)
        if not result.ok and _NAME_TAKEN in result.stderr_tail:
            argv = ("docker", "start", plan.replacer)
            result = self.runner.run(replace(command, argv=argv))
        if not result.ok:
            problem = f"{plan.replacer} can't be started: {result.stderr_tail.strip()[-500:]}"
            self._call_off(switch, plan, problem)
            raise CommandFailed(problem)
        work.log(f"handed over to {plan.replacer}")

    def _call_off(self, switch: Switch, plan: Plan, why: str) -> None:
        """See that nobody waits for a container that never was, and no secret for it.

        Where the engine does not say that it is not there, it may be at work.
        """
        argv = ("docker", "rm", "--force", "--", plan.replacer)
        removal = self.runner.run(Command(argv, env={"DOCKER_HOST": self.docker_host}))
        if removal.ok or _NO_CONTAINER in removal.stderr_tail:
            switch.go_back(why)
            switch.end()

    # ── The folder ────────────────────────────────────────────────────────────────────────────

    def _find(self, deployment: DeploymentId, prepared: PreparedTarget) -> Switch:
        return Switch(self.folder / f"{deployment}-{Path(prepared.override_file).stem}")

    def _all(self, prefix: str = "") -> Sequence[Switch]:
        return [Switch(folder) for folder in sorted(self.folder.glob(f"{prefix}*"))]

    def _sweep(self) -> None:
        """Delete those that are over."""
        for switch in self._all():
            if switch.read("done"):
                shutil.rmtree(switch.folder, ignore_errors=True)


def _did_not_hold(switch: Switch) -> RolloutError:
    return RolloutError(
        f"the new version did not hold, and the old one was brought back: {switch.went_back}"
    )


def _is_done(switch: Switch, work: Work) -> bool:
    waited = 0.0
    while not switch.read("done") and waited < _DONE_WITHIN_SECONDS:
        if work.cancel.wait(0.2):
            return False
        waited += 0.2
    return bool(switch.read("done"))


def _as_it_runs(forward: str, own: OwnContainer) -> str:
    """Return the new project with the daemon's present image: of an older one nobody has files."""
    document = json.loads(forward)
    document["services"][own.service]["image"] = own.image
    return json.dumps(document)


def _user(own: OwnContainer) -> tuple[str, ...]:
    groups = [part for group in own.groups for part in ("--group-add", group)]
    return (*(("--user", own.user) if own.user else ()), *groups)
