"""What happens to projects, told to the channels that want to hear of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, select

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.notice import (
    DEPLOYMENT,
    FactsTold,
    Happening,
    NoticeEvent,
    Telling,
    Told,
    Wants,
    sameness_of,
    tell,
)
from reconciler.domain.project import Project
from reconciler.domain.promoting import approvals_missing
from reconciler.domain.promotion import Promotion
from reconciler.domain.state import SourceHealth
from reconciler.store.aside import done_aside
from reconciler.store.codec import failure_from_json
from reconciler.store.deployment_rows import MOST_PARAMETERS, find_deployment
from reconciler.store.tables import PROJECT_STATE, TOLD, WATCHED_IMAGE
from reconciler.store.told import change_told, select_listeners

#: As often a person's request is tried; what nobody waits for goes on for a day, and is told then.
_ATTEMPTS_BEFORE_TOLD = 5
_EVENTS: Mapping[Status, NoticeEvent] = {
    Status.DEPLOYED: NoticeEvent.SUCCESS,
    Status.FAILED: NoticeEvent.FAILURE,
    Status.ROLLED_BACK: NoticeEvent.ROLLBACK,
    Status.NEEDS_OPERATOR: NoticeEvent.NEEDS_PERSON,
}


def tell_of_host(connection: Connection, host: str, trouble: Failure | None, now: datetime) -> None:
    """Tell channels of all projects how a host stands, once per change."""
    facts = {"hosts": host, "status": "in trouble" if trouble else "well"}
    _tell(connection, "", _standing(f"host {host}", trouble, facts), now)


def tell_of_end(connection: Connection, ended: Deployment, now: datetime) -> None:
    """Tell how a deployment ended; of one that changed nothing there is nothing to say."""
    if event := _EVENTS.get(ended.status):
        _tell(connection, ended.project, _ended(connection, ended, event), now)


def tell_of_retry(connection: Connection, waiting: Deployment, now: datetime) -> None:
    """Tell of one that failed so often that people would want to know, though it goes on."""
    if waiting.attempt > _ATTEMPTS_BEFORE_TOLD:
        _tell(connection, waiting.project, _ended(connection, waiting, NoticeEvent.FAILURE), now)


def tell_of_sources(
    connection: Connection, seen: Mapping[str, SourceHealth], now: datetime
) -> None:
    """Tell of sources that a person has to see to, and of those that are well again."""
    for names in _in_batches(seen):
        standing = ((project, _source(seen[project])) for project in names)
        _tell_of_all(connection, {project: one for project, one in standing if one}, now)


def tell_of_images(connection: Connection, projects: Collection[str], now: datetime) -> None:
    """Tell the same of registries, by the projects whose images they have."""
    for names in _in_batches(projects):
        if select_listeners(connection, names):
            _tell_of_some_images(connection, names, now)


def tell_of_promotions(
    connection: Connection, project: Project, waiting: Sequence[Promotion], now: datetime
) -> None:
    """Tell that promotions wait for approvals, once of each, and that none does any more."""
    unapproved = [one for one in waiting if approvals_missing(one, project)]
    if not unapproved:
        standing = Happening("promotion", NoticeEvent.SUCCESS, {})
        _tell_of_all(connection, {project.name: standing}, now)
        return
    newest = unapproved[-1]
    missing = approvals_missing(newest, project)
    revision = newest.revision
    facts: dict[str, str | int] = {
        "status": "waiting",
        "commit": revision.commit.text if revision.commit else "",
        "images": ", ".join(
            f"{image} → {digest.short}" for image, digest in sorted(revision.images.items())
        ),
        "cause": f"promotion {newest.id} of {newest.origin} (deployment {newest.deployment})",
        "error": missing.text if missing else "",
        "code": missing.code if missing else "",
    }
    # Of one that waits there is nothing new to say with each vote.
    event, which = NoticeEvent.NEEDS_PERSON, revision.fingerprint
    _tell(connection, project.name, Happening("promotion", event, facts, which), now)


def _in_batches(projects: Collection[str]) -> Iterator[list[str]]:
    """Yield them in one order, so that two replicas never wait in a ring."""
    names = sorted(projects)
    for start in range(0, len(names), MOST_PARAMETERS):
        yield names[start : start + MOST_PARAMETERS]


def _tell_of_some_images(connection: Connection, projects: list[str], now: datetime) -> None:
    wrong: dict[str, dict[str, Failure]] = {project: {} for project in projects}
    failed = (WATCHED_IMAGE.c.project.in_(projects), WATCHED_IMAGE.c.error.is_not(None))
    statement = select(WATCHED_IMAGE).where(*failed).order_by(WATCHED_IMAGE.c.position)
    for row in connection.execute(statement):
        if error := failure_from_json(row.error):
            wrong[row.project][row.image] = error
    standing = ((project, _images(errors)) for project, errors in wrong.items())
    _tell_of_all(connection, {project: one for project, one in standing if one}, now)


def _tell_of_all(
    connection: Connection, happenings: Mapping[str, Happening], now: datetime
) -> None:
    """Tell of many projects, of which few are, or were, in trouble."""
    names = list(happenings)
    if not names or not select_listeners(connection, names):
        return
    known = select(TOLD.c.project).where(TOLD.c.project.in_(names), TOLD.c.in_trouble)
    in_trouble = set(connection.execute(known).scalars())
    for project, one in happenings.items():
        if one.event is not NoticeEvent.SUCCESS or project in in_trouble:
            _tell(connection, project, one, now)


def _tell(connection: Connection, project: str, happening: Happening, now: datetime) -> None:
    """Tell each channel that hears of the project, or of all."""
    for channel, _, wants in select_listeners(connection, [project]):
        facts = {**happening.facts, "project": project}
        named = replace(happening, facts=facts)

        def decide(
            told: Told, wants: Wants, now: datetime, named: Happening = named
        ) -> tuple[Told, list[Telling]]:
            return tell(told, named, wants, now)

        work = partial(change_told, connection, (channel, project), wants, decide, now)
        done_aside(connection, f"telling channel {channel} of {project!r}", work)


def _ended(connection: Connection, one: Deployment, event: NoticeEvent) -> Happening:
    error, revision = one.error, one.target_revision
    images = [f"{image} → {digest.short}" for image, digest in sorted(revision.images.items())]
    facts: dict[str, str | int] = {
        "deployment": int(one.id),
        "status": str(one.status),
        "commit": revision.commit.text if revision.commit else "",
        "commit_before": _commit_before(one),
        "images": ", ".join(images),
        "hosts": ", ".join(sorted(target.host for target in one.targets)),
        "cause": _cause(one),
        "runs": _what_runs(connection, one),
        **_error_facts(error),
    }
    code, message = (error.code, error.message) if error else ("", "")
    return Happening(DEPLOYMENT, event, facts, sameness_of(event, code, message))


def _cause(one: Deployment) -> str:
    newest = one.causes[-1]
    # What asks by itself is its own actor: "push", not "push by push".
    who = "" if newest.actor == newest.trigger else f" by {newest.actor}"
    return f"{newest.trigger}{who}" + (f": {newest.detail}" if newest.detail else "")


def _commit_before(one: Deployment) -> str:
    return one.before.commit.text if one.before and one.before.commit else ""


def _what_runs(connection: Connection, one: Deployment) -> str:
    live = connection.execute(
        select(PROJECT_STATE.c.live_deployment_id).where(PROJECT_STATE.c.project == one.project)
    ).scalar_one_or_none()
    running = find_deployment(connection, live) if live is not None else None
    if running is None:
        return "nothing that was verified"
    text = f"deployment {running.id}, {running.target_revision}"
    half = one.status in {Status.FAILED, Status.NEEDS_OPERATOR} and one.stage.changes_target
    return f"unknown: it was {text}, and this one changed something" if half else text


def _source(health: SourceHealth) -> Happening | None:
    """Return how it stands; None where the last look failed for a passing reason, and knows not."""
    error = health.error
    if error is None and health.branch_gone:
        error = Failure("branch-gone", _BRANCH_GONE, Recovery.OPERATOR)
    return (
        None if error is not None and not _for_a_person(error) else _standing("source", error, {})
    )


_BRANCH_GONE = "the source answers, and the branch is not there"


def _images(errors: Mapping[str, Failure]) -> Happening | None:
    """Return how the project's images stand; None where nobody knows."""
    wrong = {image: error for image, error in errors.items() if _for_a_person(error)}
    if errors and not wrong:
        return None
    error = next(iter(wrong.values()), None)
    return _standing("images", error, {"images": ", ".join(wrong)})


def _standing(subject: str, error: Failure | None, facts: FactsTold) -> Happening:
    if error is None:
        return Happening(subject, NoticeEvent.SUCCESS, facts)
    event = NoticeEvent.NEEDS_PERSON
    sameness = sameness_of(event, error.code, error.message)
    return Happening(subject, event, {**facts, **_error_facts(error)}, sameness)


def _error_facts(error: Failure | None) -> dict[str, str | int]:
    if error is None:
        return {}
    return {"error": error.message, "code": error.code, "remedy": error.remedy}


def _for_a_person(error: Failure) -> bool:
    return error.recovery is Recovery.OPERATOR
