"""Projects, as an operator declares them.

Safe to repeat. A declaration is one transaction of the store; where a second one follows, a kill
between the two leaves something that repeating the request completes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.domain.errors import AlreadyExists, InvalidInput, NotFound, Refused
from reconciler.domain.gate import Reason, reasons_to_refuse
from reconciler.domain.project import HostedSource, Project
from reconciler.domain.promotion import parse_environment
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.rules import Rules
from reconciler.domain.version import ANYTHING, Expected
from reconciler.pipeline.declaring.changes import changed_draft
from reconciler.pipeline.declaring.handed_down import with_defaults
from reconciler.pipeline.declaring.project_draft import ProjectDraft, draft_of, parse_draft
from reconciler.pipeline.declaring.repositories import make_repository
from reconciler.ports import (
    Checkouts,
    ProjectStore,
    Repositories,
    Store,
)

#: Field of a draft → its new value; None clears it.
ProjectChange = Mapping[str, object]

_FIXED = {"name": "", "kind": ""}


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration as it is now, and what the operator should know of it."""

    project: Project
    notes: tuple[str, ...] = ()


def declare_project(
    store: Store,
    repositories: Repositories,
    draft: ProjectDraft,
    now: datetime,
    *,
    create_repository: bool = False,
) -> Declared:
    """Add the project that ``draft`` declares.

    Args:
        store: where it is kept.
        repositories: where a hosted source must be, or is made.
        draft: what was asked for.
        now: when.
        create_repository: make the hosted repository if it is not there.

    Raises:
        InvalidInput: one field is wrong. ``SeveralInvalid``: more are.
        Refused: auto-deploy is asked for where there is nothing to deploy.
        AlreadyExists: the name is taken.
    """
    draft, notes = _with_defaults(store, draft)
    project = parse_draft(draft, now)
    refuse_needless_toggle(project)
    if _exists(store, project.name):
        raise AlreadyExists(f"there is a project {project.name} already")
    if isinstance(project.source, HostedSource):
        _need_repository(store, repositories, project.source, create=create_repository)
    elif create_repository:
        raise InvalidInput(
            "create_repository", True, "needs `repository`, the name of the one to make"
        )
    store.create_project(project)
    return Declared(project, (*notes, *notes_on(project)))


def change_project(
    store: Store,
    repositories: Repositories,
    name: ProjectName,
    change: ProjectChange,
    now: datetime,
    expected: Expected = ANYTHING,
) -> Declared:
    """Change the fields that ``change`` names; the others stay.

    The generation grows when what would run changes: then what is live is no longer what is
    declared, and the same commit can be deployed again. Naming one of ``url`` and ``repository``
    lets go of the other.

    Raises:
        NotFound: no such project.
        ChangedMeanwhile: it is not what was expected, or somebody changed it at this moment.
        InvalidInput: one field is wrong. ``SeveralInvalid``: more are.
        Refused: auto-deploy is asked for where there is nothing to deploy.
    """
    before = store.get_project(name)
    expected.require(before)
    wanted = parse_draft(_changed_draft(before, change), now)
    after = following(before, replace(wanted, targets=before.targets))
    refuse_needless_toggle(after)
    if isinstance(after.source, HostedSource) and after.source != before.source:
        _need_repository(store, repositories, after.source, create=False)
    return keep_change(store, before, after)


def following(before: Project, wanted: Project) -> Project:
    """Return ``wanted`` as the declaration that comes after ``before``; that one if all is equal.

    The generation grows when what would run differs.
    """
    after = replace(wanted, created_at=before.created_at, generation=before.generation)
    if _what_would_run(after) != _what_would_run(before):
        after = replace(after, generation=before.generation + 1)
    return before if replace(after, updated_at=before.updated_at) == before else after


def keep_change(store: Store, before: Project, after: Project) -> Declared:
    """Record ``after``, which follows ``before``, and tell which credentials it cost.

    Who switches auto-deploy by it is recorded with it.
    """
    if after == before:
        return Declared(before, notes_on(before))
    bound = {(record.name, record.bound_to) for record in store.list_secrets(after.name)}
    store.update_project(after, before)
    kept = {(record.name, record.bound_to) for record in store.list_secrets(after.name)}
    dropped = (
        f"the credential bound to {origin} was dropped ({what})"
        for what, origin in sorted(bound - kept)
    )
    return Declared(after, (*dropped, *notes_on(after)))


def remove_project(
    store: ProjectStore, checkouts: Checkouts, name: ProjectName, expected: Expected = ANYTHING
) -> None:
    """Forget the project with its history and secrets.

    Its containers go on, its hosted repository stays, and so does its work tree, which may hold
    their data.

    Raises:
        NotFound: no such project.
        ChangedMeanwhile: it is not what was expected, or somebody changed it at this moment.
        Conflict: a deployment of it is running.
    """
    project = store.get_project(name)
    expected.require(project)
    store.remove_project(name, project)
    checkouts.remove(name)


def _changed_draft(project: Project, change: ProjectChange) -> ProjectDraft:
    given = dict(change)
    for one, other in (("url", "repository"), ("repository", "url")):
        if given.get(one) is not None and other not in change:
            given[other] = None
    return changed_draft(draft_of(project), given, fixed=_FIXED, what="a project")


def _what_would_run(project: Project) -> Project:
    """Return ``project`` without what changes nothing that runs: times, choices, exposure."""
    return replace(
        project,
        created_at=datetime.min,  # noqa: DTZ901  a blank, compared with nothing but itself
        updated_at=datetime.min,  # noqa: DTZ901
        auto_deploy=False,
        one_by_one=False,
        mend_drift=False,
        expose_service=None,
        expose_port=None,
        watch_paths=(),
        skip_markers=False,
        commit_statuses=False,
        forge=None,
        forge_url=None,
        environment=None,
        rules=Rules(),
        generation=0,
    )


def refuse_needless_toggle(project: Project) -> None:
    """Refuse auto-deploy where there is nothing to deploy. Raises ``Refused``."""
    if project.auto_deploy and not project.kind.deployable:
        reason = reasons_to_refuse(project)[0]
        raise Refused(reason.code, reason.text, field="auto_deploy")


def _need_repository(
    store: Store, repositories: Repositories, source: HostedSource, *, create: bool
) -> None:
    if create:
        make_repository(store, repositories, source.repository)
    elif source.repository not in repositories.names():
        problem = "is not a repository kept here; make it first, or ask for create_repository"
        raise InvalidInput("repository", source.repository, problem)


def _with_defaults(store: ProjectStore, draft: ProjectDraft) -> tuple[ProjectDraft, Sequence[str]]:
    """Return ``draft`` with what the environment before says of the app, and a note of that."""
    declared = draft.environment
    before = parse_environment(declared).promoted_from if declared is not None else None
    if before is None or before == draft.name:
        return draft, ()
    if not _exists(store, before):
        problem = "is no project here; declare the environment before first"
        raise InvalidInput("environment.promoted_from", before, problem)
    completed, taken = with_defaults(draft, store.get_project(before))
    return completed, (f"as {before} has it: {', '.join(taken)}",) if taken else ()


def _exists(store: ProjectStore, name: ProjectName) -> bool:
    try:
        store.get_project(name)
    except NotFound:
        return False
    return True


def notes_on(project: Project) -> tuple[str, ...]:
    """Return what stands in the way of a project that should deploy by itself."""
    if not project.auto_deploy:
        return ()
    reasons: tuple[Reason, ...] = reasons_to_refuse(project)
    return tuple(
        f"it will not deploy yet: {reason.text}"
        for reason in reasons
        if reason.code in {ReasonCode.EXPOSE_MISSING, ReasonCode.TARGET_MISSING}
    )
