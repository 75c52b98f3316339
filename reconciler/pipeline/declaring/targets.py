"""Where a project is deployed to, as an operator declares it.

What runs in containers is pinned to its host by the first deployment there: its volumes are on
that host, and no other one gets to take its place unless a person moves it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.domain.errors import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    RefusingToMigrate,
)
from reconciler.domain.health_check import HealthCheck, declaration_of
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.target import Target, TargetStrategy, default_folder, find_clashes
from reconciler.domain.version import ANYTHING, Expected
from reconciler.pipeline.declaring.changes import changed_draft
from reconciler.pipeline.declaring.projects import Declared, notes_on
from reconciler.pipeline.declaring.target_draft import TargetDraft, draft_of, parse_target
from reconciler.ports import Clock, Store

#: Field of a draft → its new value; None clears it.
TargetChange = Mapping[str, object]

_FIXED = {"host": "; remove the target, and add another"}


@dataclass(frozen=True, slots=True)
class Targets:
    """Declares targets. Every change of one grows the project's generation."""

    store: Store
    clock: Clock

    def add(self, name: ProjectName, draft: TargetDraft) -> Declared:
        """Give the project one more target.

        Raises:
            NotFound: no such project.
            InvalidInput: one field is wrong, or nobody declared the host. ``SeveralInvalid``: more.
            Refused: the project has nothing to deploy.
            AlreadyExists: it has a target on that host.
            RefusingToMigrate: it would leave the daemon's machine, which was implied so far.
        """
        project = self.store.get_project(name)
        target = parse_target(draft, project)
        self._require_host(target)
        if any(one.host == target.host for one in project.targets):
            remedy = f"`reconciler target set {name} {target.host}` changes it"
            raise AlreadyExists(f"{name} has a target on {target.host} already", remedy)
        return self._keep(project, (*project.targets, target))

    def change(
        self,
        name: ProjectName,
        host: HostName,
        change: TargetChange,
        expected: Expected = ANYTHING,
    ) -> Declared:
        """Change the fields of a target that ``change`` names; the others stay.

        Raises:
            NotFound: no such project, or no such target of it.
            ChangedMeanwhile: it is not what was expected, or somebody changed the project just now.
            InvalidInput: one field is wrong. ``SeveralInvalid``: more are.
        """
        project = self.store.get_project(name)
        before = get_target(project, host)
        expected.require(before)
        after = parse_target(_changed_draft(before, change), project)
        if after.strategy != before.strategy:
            self._require_host(after)
        declared = project.targets or project.where
        return self._keep(project, tuple(after if one == before else one for one in declared))

    def remove(self, name: ProjectName, host: HostName, expected: Expected = ANYTHING) -> Declared:
        """Take a target away; what runs there goes on.

        Raises:
            NotFound: no such project, or no such target of it.
            ChangedMeanwhile: it is not what was expected, or somebody changed the project just now.
            RefusingToMigrate: its volumes are there.
        """
        project = self.store.get_project(name)
        if all(one.host != host for one in project.targets):
            raise _no_target(project, host)
        expected.require(get_target(project, host))
        return self._keep(project, tuple(one for one in project.targets if one.host != host))

    def move(self, name: ProjectName, *, to: HostName, leaving: HostName | None = None) -> Declared:
        """Have ``to`` take the place of a host on purpose; volumes stay where they are.

        Args:
            name: the project.
            to: where it is deployed to from now on; a target there already stays as it is.
            leaving: the host that it leaves; None: its only other one.

        Raises:
            NotFound: no such project.
            InvalidInput: it is on ``to`` already, or not on ``leaving``; or nobody declared ``to``.
        """
        project = self.store.get_project(name)
        before = _left(project, leaving, to)
        self._require_host(replace(before, host=to), "to")
        if before.host == to:
            raise InvalidInput("to", to, f"is where {name} is already")
        known = [one.host for one in project.where]
        after = [] if to in known else [parse_target(_draft_for(to, before), project)]
        targets = [new for one in project.where for new in (after if one == before else [one])]
        declared = self._keep(project, tuple(targets), on_purpose=True)
        return replace(declared, notes=(*_after_move(project, before, to), *declared.notes))

    def _keep(
        self, before: Project, targets: tuple[Target, ...], *, on_purpose: bool = False
    ) -> Declared:
        if targets == before.targets:
            return Declared(before, notes_on(before))
        for target in targets:
            if target not in before.targets:
                self._require_own_place(target)
        now, generation = self.clock.now(), before.generation + 1
        after = replace(before, targets=targets, generation=generation, updated_at=now)
        if not on_purpose:
            refuse_to_migrate(self.store, before, after)
        self.store.update_project(after, before)
        return Declared(after, notes_on(after))

    def _require_own_place(self, target: Target) -> None:
        """Refuse another project's folder or workload: each changes it as if it were its own."""
        others = (one for one in self.store.list_projects() if one.name != target.project)
        theirs = (one for project in others for one in project.targets if one.host == target.host)
        for clash in find_clashes((*theirs, target)):
            if target in clash:
                raise clash_of(target, clash)

    def _require_host(self, target: Target, field: str = "host") -> None:
        """Refuse a host that nobody declared, and a cluster as one, or the other way round."""
        host, in_cluster = target.host, target.strategy is TargetStrategy.KUBERNETES
        if host == LOCAL and not in_cluster:
            return
        try:
            if in_cluster:
                self.store.get_cluster(host)
            else:
                self.store.get_host(host)
        except NotFound:
            what, how = ("cluster", "--file FILE") if in_cluster else ("host", "--alias …")
            error = InvalidInput(field, host, f"is no {what} that was declared")
            error.remedy = f"declare it first: `reconciler {what} add {host} {how}`"
            raise error from None


def refuse_to_migrate(store: Store, before: Project, after: Project) -> None:
    """Refuse that a project leaves a host with its volumes. Raises ``RefusingToMigrate``."""
    stays = {one.host for one in after.where}
    left = [one.host for one in before.where if one.host not in stays and one.keeps_volumes]
    if not left:
        return
    touched = store.list_touched_hosts(before.name)
    left = [host for host in left if host in touched]
    if left:
        raise _refusal(before, left[0], [one.host for one in after.where])


def clash_of(target: Target, clash: Sequence[Target]) -> InvalidInput:
    """Return what is wrong with ``target``, which is one of the two in ``clash``."""
    (other,) = (one for one in clash if one is not target)
    if target.workloads:
        theirs = {str(one) for one in other.workloads}
        shared = ", ".join(str(one) for one in target.workloads if str(one) in theirs)
        problem = f"names {shared} in {target.namespace}, whose images {other.project} sets"
        return InvalidInput("workloads", None, problem)
    problem = f"is {other.folder} of {other.project}, or below it, or around it"
    return InvalidInput("folder", target.folder, problem)


def get_target(project: Project, host: HostName) -> Target:
    """Return the project's target on ``host``, be it implied. Raises ``NotFound``."""
    found = next((one for one in project.where if one.host == host), None)
    if found is None:
        raise _no_target(project, host)
    return found


def _no_target(project: Project, host: HostName) -> NotFound:
    known = ", ".join(one.host for one in project.targets) or "none that was declared"
    return NotFound(f"{project.name} has no target on {host}; it has {known}")


def _refusal(project: Project, left: HostName, after: Sequence[HostName]) -> RefusingToMigrate:
    name, to = project.name, after[0] if after else "HOST"
    instead = f"{to} would start with empty ones" if after else "nothing would run it"
    text = f"{name} was deployed to {left}, and its volumes are there; {instead}"
    remedy = f"`reconciler project move {name} --to {to}` moves it, and says what becomes of them"
    if project.where and not project.targets:
        remedy += f"; `reconciler target add {name} {LOCAL}` first keeps it on both"
    return RefusingToMigrate(text, remedy)


def _left(project: Project, leaving: HostName | None, to: HostName) -> Target:
    known = [one.host for one in project.where]
    shown = ", ".join(known) or "no host"
    others = [one for one in project.where if one.host != to] or list(project.where)
    if leaving is None and len(others) == 1:
        return others[0]
    if leaving is None:
        raise InvalidInput("leaving", None, f"is missing: {project.name} is on {shown}")
    if leaving not in known:
        raise InvalidInput("leaving", leaving, f"is none of its hosts: it is on {shown}")
    return get_target(project, leaving)


def _draft_for(host: HostName, target: Target) -> TargetDraft:
    """Return the draft of the same target on another host, without what can't be said there."""
    draft = replace(draft_of(target), host=host)
    if host == LOCAL:
        draft = replace(draft, confirm_within_seconds=None)
    if draft.folder == default_folder(target.project) or host == LOCAL:
        draft = replace(draft, folder=None)
    return draft


def _after_move(project: Project, left: Target, to: HostName) -> tuple[str, ...]:
    name, host = project.name, left.host
    stop = f"systemctl disable --now {left.unit}"
    volumes: tuple[str, ...] = ()
    if left.keeps_volumes:
        stop = f"docker compose --project-name {name} down"
        volumes = (f"its volumes stay on {host}; on {to} it starts with empty ones",)
    elif left.workloads:
        stop = f"kubectl --namespace {left.namespace} delete {' '.join(map(str, left.workloads))}"
    return (
        *volumes,
        f"what runs on {host} goes on until you stop it there: `{stop}`",
        f"`reconciler deploy {name}` deploys it to {to}",
    )


def _changed_draft(target: Target, change: TargetChange) -> TargetDraft:
    draft = _without_what_follows(target, change)
    return changed_draft(draft, change, fixed=_FIXED, what="a target")


def _without_what_follows(target: Target, change: TargetChange) -> TargetDraft:
    """Return the target's draft; its checks follow a port or path that is changed."""
    port = target.port
    for name, check in (("health", target.health), ("ready", target.ready)):
        if check is not None and change.get(f"{name}_path") is not None:
            port = port or check.port
    return replace(
        draft_of(target),
        port=port,
        health=_kept("health", target.health, target, change),
        ready=_kept("ready", target.ready, target, change),
    )


def _kept(
    name: str, check: HealthCheck | None, target: Target, change: TargetChange
) -> Mapping[str, object] | None:
    """Return what of a check stays; None where another one takes its place."""
    if check is None or any(change.get(field) is not None for field in (name, f"{name}_path")):
        return None
    declared = declaration_of(check)
    if change.get("port") is not None and check.port == target.port:
        declared.pop("port", None)
    return declared
