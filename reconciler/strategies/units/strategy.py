"""``Strategy`` for projects that run as a systemd unit.

``prepare`` leaves a complete release on the host, and beside it what belongs to the deployment:
its unit, its environment, the name of its release. ``apply`` is one remote step that needs nothing
else, so that going back is the same step with an older deployment's number. What ``observe`` says
is read from the process that runs.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

from reconciler.domain.deployment import PlannedService, PreparedTarget
from reconciler.domain.errors import HandedOver, NotHandedOn, PreconditionFailed, ReconcilerError
from reconciler.domain.host import HostName
from reconciler.domain.references import CommitSha, Digest, ProjectName, ServiceName
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target
from reconciler.domain.verification import Sample
from reconciler.ports import HostFacts, LineSink, Machine, Machines, TargetReport, Work
from reconciler.strategies.units.handed_release import digest_of_image
from reconciler.strategies.units.looking import Look, parse_look
from reconciler.strategies.units.myself import Myself
from reconciler.strategies.units.release_maker import Bench, ReleaseMaker
from reconciler.strategies.units.site import Site, deployment_of, kept_as
from reconciler.strategies.units.sources import commit_of
from reconciler.strategies.units.steps import Step, Steps, script, understood
from reconciler.strategies.units.unit_file import environment_text, unit_text

_DIAGNOSED_LINES = 20
#: systemd gives a unit 30 s to stop, and 90 s to start; the lock may be somebody else's before.
_SWITCH_TIMEOUT = timedelta(minutes=5)
_LOOK_TIMEOUT = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class UnitStrategy:
    """``Strategy`` for one way to a release. Safe to use from any thread."""

    machines: Machines
    maker: ReleaseMaker
    myself: Myself = field(default_factory=Myself)
    #: Of what ran at the last look: what `look` called it, and its digest.
    _seen: dict[tuple[HostName, ProjectName], tuple[str, Digest]] = field(default_factory=dict)
    _seen_lock: threading.Lock = field(default_factory=threading.Lock)

    # ── Changing ──────────────────────────────────────────────────────────────────────────────

    def prepare(self, work: Work) -> PreparedTarget:
        """Bring a complete release to the host; see ``Strategy``."""
        site, target = Site.of(work.target), work.target
        handover = work.find_handover()
        if handover and self.maker.builds_there:
            raise NotHandedOn(
                f"{site.project} on {target.host} is built on its host, and what another "
                "environment verified is never built again",
                "declare the target with `strategy: systemd`",
                host=target.host,
            )
        text, image = unit_text(site, target), digest_of_image(work)
        commit = work.revision.commit if handover else commit_of(work)
        environment = environment_text(target, work.variables, work.deployment, commit)
        machine = self.machines.get(target.host)
        self._require_tools(machine.check(), target)
        bench = self._check(work, site, machine, text, commit)
        kept = kept_as(work.deployment)
        machine.write(site.path(f"{kept}/environment"), environment)
        if image:
            machine.write(site.path(f"{kept}/image"), Secret.of(f"{image}\n"))
        release = self.maker.make(bench)
        work.log(f"{release} is ready on {target.host}")
        return PreparedTarget(
            revision=work.revision,
            services=(PlannedService(ServiceName(site.project), release),),
            override_file=kept,
            rendered_sha256=sha256(text.encode()).hexdigest(),
            host=target.host,
        )

    def apply(self, work: Work, prepared: PreparedTarget) -> None:
        """Switch to what was prepared, by this deployment or an older one; see ``Strategy``.

        Where the unit is the daemon itself a transient unit does it, and the daemon that it starts
        takes the deployment up.
        """
        site, wanted = Site.of(work.target), deployment_of(prepared)
        within = work.target.confirm_within
        said = self._steps(work).run(
            Step.APPLY,
            *(site.folder, site.unit, str(work.deployment), str(work.fence), wanted),
            *(site.marker, _yes(work.may_take_over)),
            *(str(round(within.total_seconds()) if within else 0), site.timer),
            script(Step.REVERT),
            *(self.myself.invocation, self.myself.deployment),
            str(round(self.myself.patience.total_seconds())),
            *(site.self_update(work.deployment), script(Step.SELF_UPDATE)),
            timeout=_SWITCH_TIMEOUT,
        )
        work.log(f"{site.unit} on {work.target.host}: {said.strip()}")
        if said.startswith("handed over"):
            raise HandedOver(f"{site.unit} is this daemon: {said.strip()}")

    def confirm(self, work: Work, prepared: PreparedTarget) -> None:
        """Keep the release, and stop the host's timer over a new connection; see ``Strategy``."""
        self.maker.keep(work, prepared)
        if work.target.confirm_within is None and not self._is_us(work.target):
            return
        site, wanted = Site.of(work.target), deployment_of(prepared)
        claim = (site.folder, str(work.deployment), str(work.fence))
        # The shared connection may have been opened before the change, and proves nothing.
        self._steps(work).run(Step.CONFIRM, *claim, wanted, site.timer, fresh=True)
        work.log(f"confirmed on {work.target.host}: it stays")

    def forget(
        self,
        target: Target,
        prepared: PreparedTarget,
        kept: Collection[PreparedTarget],
    ) -> None:
        """Drop a deployment, those before it, and their releases; see ``Strategy``."""
        self.maker.forget(target, prepared, kept)
        site = Site.of(target)
        steps = Steps(self.machines.get(target.host))
        steps.run(Step.FORGET, site.folder, deployment_of(prepared), site.builds)

    def set_up(self, work: Work) -> None:
        """Make folders, user and unit; see ``Strategy``."""
        site, target = Site.of(work.target), work.target
        self._require_tools(self.machines.get(target.host).check(), target)
        said = self._steps(work).run(
            Step.SET_UP,
            *(site.folder, site.unit, target.user, site.project, site.marker),
            *(_yes(work.may_take_over), unit_text(site, target)),
        )
        for line in said.splitlines():
            work.log(line)

    # ── Looking ───────────────────────────────────────────────────────────────────────────────

    def observe(self, target: Target) -> Sequence[Sample]:
        """Return what the unit is and runs now; see ``Strategy``."""
        look, running = self._look(target)
        return [look.sample(ServiceName(target.project), target.unit, running)] * look.exists

    def report(self, target: Target) -> TargetReport:
        """Return what the unit is and runs now; see ``Strategy``."""
        look, running = self._look(target)
        return look.report(running)

    def diagnose(self, target: Target, log: LineSink) -> None:
        """Write the unit's last lines into ``log``; see ``Strategy``."""
        try:
            steps = Steps(self.machines.get(target.host))
            said = steps.run(Step.LINES, target.unit, str(_DIAGNOSED_LINES), timeout=_LOOK_TIMEOUT)
        except ReconcilerError as error:
            log(f"the journal of {target.unit} can't be had: {error.message}")
            return
        log(f"{target.unit} on {target.host}: its last lines:")
        for line in said.splitlines() or ["(it wrote nothing)"]:
            log(f"  {line}")

    def _is_us(self, target: Target) -> bool:
        if not self.myself.invocation:
            return False
        return self._look(target)[0].invocation == self.myself.invocation

    def _look(self, target: Target) -> tuple[Look, Digest | None]:
        site, name = Site.of(target), (target.host, target.project)
        with self._seen_lock:
            key, digest = self._seen.get(name, ("", None))
        steps = Steps(self.machines.get(target.host))
        look = parse_look(steps.run(Step.LOOK, site.folder, site.unit, key, timeout=_LOOK_TIMEOUT))
        if not look.key or look.key != key:
            digest = look.running
        if look.key and digest is not None:
            with self._seen_lock:
                self._seen[name] = (look.key, digest)
        return look, digest

    # ── Shared ────────────────────────────────────────────────────────────────────────────────

    def _check(
        self, work: Work, site: Site, machine: Machine, text: str, commit: CommitSha | None
    ) -> Bench:
        steps = Steps(machine, work.cancel)
        said = steps.run(
            Step.CHECK,
            *(site.folder, site.unit, work.target.user, str(work.deployment), str(work.fence)),
            *(site.marker, _yes(work.may_take_over), _yes(self.maker.builds_there)),
        )
        facts = [line.partition(" ")[::2] for line in said.splitlines()]
        with understood(machine.name):
            free = next(int(value) << 10 for name, value in facts if name == "space")
        releases = frozenset(value for name, value in facts if name == "release")
        return Bench(work, site, commit, machine, steps, free, releases, text)

    def _require_tools(self, facts: HostFacts, target: Target) -> None:
        if not facts.has_systemd:
            raise PreconditionFailed(f"host {target.host} is not run by systemd", host=target.host)
        if missing := sorted(self.maker.tools - facts.tools):
            names = ", ".join(missing)
            raise PreconditionFailed(f"host {target.host} has no {names}", host=target.host)

    def _steps(self, work: Work) -> Steps:
        return Steps(self.machines.get(work.target.host), work.cancel)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
