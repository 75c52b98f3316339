"""What people ask for: deploy, approve a migration, roll back."""

from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Deployment, DeploymentId, Status, Trigger
from reconciler.domain.errors import (
    Conflict,
    InvalidInput,
    MigrationNeedsApproval,
    NotFound,
    NothingToApprove,
    ReconcilerError,
    Refused,
    Withdrawn,
)
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostName
from reconciler.domain.plan import PlanBasis
from reconciler.domain.project import Project
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, Digest, ImageReference, ProjectName
from reconciler.domain.release import ReleaseId
from reconciler.domain.revision import Revision
from reconciler.pipeline.sources import Sources
from reconciler.pipeline.trigger import Brakes, TriggerResult, trigger_deployment
from reconciler.ports import Approval, Clock, ImageRegistry, Store

_LOOKS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person wants to be deployed, and where."""

    commit: CommitSha | None = None  #: None: the branch's tip
    release: ReleaseId | None = None  #: the digests that CI reported as this one, and its commit
    hosts: tuple[HostName, ...] = ()  #: empty: all of the project's
    force: bool = False  #: even what is live or quarantined
    reason: str = ""
    plan: str = ""  #: id of the plan that was read: what it says is deployed, or nothing
    override: str = ""  #: why it goes past windows and a freeze; empty: it doesn't


@dataclass(frozen=True, slots=True)
class Approved:
    """What a person approves."""

    deployment: DeploymentId | None = None  #: None: the one that waits
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Requests:
    """People's requests. The master switch and the toggle hold none of them."""

    store: Store
    clock: Clock
    brakes: Brakes
    sources: Sources
    registry: ImageRegistry

    def deploy(
        self, name: ProjectName, wanted: Wanted, *, actor: str, plan: PlanBasis | None = None
    ) -> TriggerResult:
        """Deploy a commit, or what the branch's tip is now, to all hosts or to some.

        With a ``plan`` it is exactly what that was made from, if that still holds.

        Raises:
            NotFound: there is no such project, or no such release of it.
            InvalidInput: it has no target on one of the hosts.
            SourceError: the tip could not be asked for.
        """
        project = self.store.get_project(name)
        _require_targets(project, wanted.hosts)
        repeated = self._repeated(project, wanted)
        if repeated is not None:
            revision = repeated.target_revision
        else:
            revision = plan.revision if plan else self._revision(project, wanted)
        detail = wanted.reason or _what(wanted)
        return self._ask(
            Request(
                name,
                revision,
                Cause(Trigger.PERSON, actor, detail),
                force=wanted.force,
                hosts=wanted.hosts,
                plan=plan,
                promotes=repeated.promotes if repeated else None,
                override=wanted.override,
            )
        )

    def _repeated(self, project: Project, wanted: Wanted) -> Deployment | None:
        """Return what is live of a promoted project, where a person insists on having it anew."""
        live = self.store.get_state(project.name).live if project.promoted_from else None
        if live is None or not wanted.force or wanted.commit not in {None, live.revision.commit}:
            return None
        if live.promotes is None and live.restores is not None:
            return self.store.get_deployment(live.restores)
        return live

    def _revision(self, project: Project, wanted: Wanted) -> Revision:
        if wanted.commit or project.promoted_from:  # which follows no branch
            return Revision(wanted.commit)
        if wanted.release is not None:
            return self._reported(project.name, wanted.release)
        tip = self.sources.tip(project)
        return Revision(tip, self._digests(project.name, tip))

    def _reported(self, name: ProjectName, release: ReleaseId) -> Revision:
        report = self.store.get_release(release).report
        if report.project != name:
            raise NotFound(f"{name} has no release {release}")
        return Revision(report.commit, report.images)

    def _digests(self, name: ProjectName, tip: CommitSha | None) -> dict[str, Digest]:
        """Return the digests behind the tags that run, where the commit alone tells no difference.

        One that can't be looked up is left out: the deployment looks again, and says so.
        """
        unwatched = {one.image for one in self.store.get_images(name) if one.unwatched_because}
        told_apart = images_told_apart_by(self.store.get_state(name).live, tip)
        images = [image for image in told_apart if image not in unwatched]
        if not images:
            return {}

        def look(image: str) -> Digest | None:
            try:
                return self.registry.digest(ImageReference.parse(image), name)
            except ReconcilerError:
                return None

        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            found = dict(zip(images, pool.map(look, images), strict=True))
        return {image: digest for image, digest in found.items() if digest is not None}

    def roll_back(self, name: ProjectName, *, to: DeploymentId | None, actor: str) -> TriggerResult:
        """Go back to ``to``, or to the verified revision before the live one.

        Raises:
            NotFound: no such project, or no such deployment of it.
            Conflict: ``to`` is what runs already.
            Refused: nothing that was verified is kept.
        """
        state = self.store.get_state(name)
        live, kept = state.live, self.store.list_restorable(name)
        if to is not None:
            if live and to == live.id and state.drift is None:
                raise Conflict(f"deployment {to} is what runs")
            kept = [one for one in kept if one.id == to]
            if not kept:
                raise NotFound(f"deployment {to} of {name} is not among those that can be restored")
        elif live:
            kept = [one for one in kept if one.id < live.id]
        kept = self._of_its_hosts(name, kept)
        if not kept:
            text = f"{name} has no earlier verified revision that is still kept where it runs"
            raise Refused(ReasonCode.NOTHING_TO_RESTORE, text)
        target = kept[0]
        cause = Cause(Trigger.ROLLBACK, actor, f"back to deployment {target.id}")
        return self._ask(Request(name, target.target_revision, cause, restores=target.id))

    def list_kept(self, name: ProjectName) -> Sequence[Deployment]:
        """Return those that can be gone back to, newest first; what runs only where it drifted.

        Raises:
            NotFound: no such project.
        """
        kept = self._of_its_hosts(name, self.store.list_restorable(name))
        state = self.store.get_state(name)
        runs = state.live.id if state.live and state.drift is None else None
        return [one for one in kept if one.id != runs]

    def _of_its_hosts(self, name: ProjectName, kept: Sequence[Deployment]) -> list[Deployment]:
        hosts = {one.host for one in self.store.get_project(name).where}
        return [one for one in kept if _was_on_one_of(hosts, one)]

    def approve(self, name: ProjectName, approved: Approved, *, actor: str) -> TriggerResult:
        """Approve what a migration found pending, and deploy that very revision.

        What is declared otherwise since then is another revision: it asks again.

        Raises:
            NotFound: no such project, or no such deployment of it.
            NothingToApprove: no migration waits for that, or a newer deployment overtook it.
        """
        stopped = self.find_stopped(name, approved.deployment)
        revision, now = stopped.target_revision, self.clock.now()
        self.store.approve(
            Approval(name, revision.fingerprint, stopped.id, actor, now, approved.reason)
        )
        detail = f"approved the migration of deployment {stopped.id}"
        detail += f": {approved.reason}" if approved.reason else ""
        cause = Cause(Trigger.PERSON, actor, detail)
        return self._ask(
            Request(
                name,
                revision,
                cause,
                hosts=stopped.hosts,
                promotes=stopped.promotes,
                override=stopped.override,
            )
        )

    def find_stopped(self, name: ProjectName, wanted: DeploymentId | None = None) -> Deployment:
        """Return the newest deployment, if its migration needs approval and it is the wanted one.

        An older one is approved no more: what came after it may have changed the data.

        Raises:
            NotFound: no such project, or no such deployment of it.
            NothingToApprove: no migration waits for that.
        """
        self.store.get_project(name)
        newest = next(iter(self.store.list_deployments(name, limit=1)), None)
        if wanted is not None and not self._has(name, wanted):
            raise NotFound(f"{name} has no deployment {wanted}")
        waits = (
            newest is not None
            and newest.status is Status.NEEDS_OPERATOR
            and newest.error is not None
            and newest.error.code == MigrationNeedsApproval.code
        )
        if newest is None or not waits:
            raise NothingToApprove(f"no migration of {name} waits for approval")
        if wanted not in {None, newest.id}:
            text = f"deployment {newest.id} waits for approval, and not deployment {wanted}"
            raise NothingToApprove(text)
        return newest

    def _has(self, name: ProjectName, deployment: DeploymentId) -> bool:
        """Tell whether it is one of the project's: another's is as if it were not there."""
        try:
            return self.store.get_deployment(deployment).project == name
        except NotFound:
            return False

    def withdraw(self, deployment: DeploymentId, *, actor: str) -> Deployment:
        """Take a deployment back before it changes anything.

        Raises:
            NotFound: there is no such deployment.
            Conflict: it has begun to change something, or has ended.
        """
        reason = Failure(Withdrawn.code, f"{actor} took it back", Withdrawn.recovery)
        return self.store.ask_to_withdraw(deployment, reason, self.clock.now())

    def _ask(self, request: Request) -> TriggerResult:
        return trigger_deployment(self.store, request, brakes=self.brakes, now=self.clock.now())


def images_told_apart_by(live: Deployment | None, tip: CommitSha | None) -> Sequence[str]:
    """Return the images whose digests tell whether ``tip`` is live: of another commit, none."""
    if live is None or live.target_revision.commit != tip:
        return ()
    return tuple(live.target_revision.images)


def _what(wanted: Wanted) -> str:
    """Return what is asked for, for the record."""
    if wanted.release is not None:
        return f"release {wanted.release}"
    return "this very commit" if wanted.commit else "deploy now"


def _was_on_one_of(hosts: Set[HostName], deployment: Deployment) -> bool:
    """Tell whether it has anything for the hosts: what moved away is not brought back by it."""
    ready = deployment.prepared.targets if deployment.prepared else ()
    return any(one.host in hosts for one in ready)


def _require_targets(project: Project, hosts: Sequence[HostName]) -> None:
    known = [target.host for target in project.where]
    for host in hosts:
        if host not in known:
            problem = f"is no target of {project.name}; it has {', '.join(known) or 'none'}"
            raise InvalidInput("hosts", host, problem)
