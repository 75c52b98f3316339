"""What goes from one environment to the next, and who agreed."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.errors import ChangedMeanwhile, Conflict, NotFound
from reconciler.domain.promotion import Promotion, PromotionId, PromotionStatus, Vote
from reconciler.domain.references import ProjectName
from reconciler.store.aside import done_aside
from reconciler.store.bindings import Told
from reconciler.store.codec import clean_text, revision_from_json, revision_to_json
from reconciler.store.deployment_rows import MOST_PARAMETERS
from reconciler.store.family import Family, below, lock_project
from reconciler.store.notices import tell_of_promotions
from reconciler.store.project_rows import project_from_row
from reconciler.store.tables import DEPLOYMENT, PROMOTION, VOTE
from reconciler.store.upsert import upsert

_WAITS = PROMOTION.c.status == PromotionStatus.WAITING


class SqlPromotions(Family):
    """The part of ``PromotionStore`` about promotions; each change locks the project first."""

    def propose(
        self, promotion: Promotion, *, seen: PromotionId | None = None
    ) -> tuple[Promotion, bool]:
        """Keep one that waits, and tell if it is new; its id is given here."""
        with self._database.writing() as connection:
            _require_verified(connection, promotion)
            if seen is not None and _newest(connection, promotion.project) > seen:
                raise ChangedMeanwhile
            now, told = self._database.now(), []
            found = _find_waiting(connection, promotion)
            if found is not None and found.expires_at <= now:
                told.append(_end(connection, found, PromotionStatus.EXPIRED, now))
                found = None
            if found is None:
                kept = _insert(connection, promotion)
                told.append(_told_of_proposal(kept))
            elif _adds_to(found, promotion):
                kept = _ask_for(connection, found, promotion)
                told.append(_told_of_proposal(kept))
            else:
                kept = found
            self._conclude(connection, promotion.project, told)
        return kept, found is None

    def vote(self, promotion: PromotionId, vote: Vote, *, needed: int) -> Promotion:
        """Keep what one person says of a promotion that waits; their last word counts."""
        with self._database.writing() as connection:
            found = _lock(connection, promotion)
            _require_waiting(found, self._database.now())
            said = {"approves": vote.approves, "at": vote.at, "reason": clean_text(vote.reason)}
            key = {"promotion": promotion, "person": clean_text(vote.person)}
            upsert(connection, VOTE, key, said)
            if not vote.approves:
                _end(connection, found, PromotionStatus.REJECTED, vote.at)
            after = _get(connection, promotion)
            self._conclude(connection, found.project, [_told_of_vote(after, vote, needed)])
        return after

    def decide(
        self,
        promotion: PromotionId,
        status: PromotionStatus,
        now: datetime,
        *,
        became: DeploymentId | None = None,
    ) -> bool:
        """End one that waits; False if it waits no longer."""
        with self._database.writing() as connection:
            found = _lock(connection, promotion)
            if found.status is not PromotionStatus.WAITING:
                return False
            told = [_end(connection, found, status, now, became)]
            self._conclude(connection, found.project, told)
        return True

    def _conclude(self, connection: Connection, name: ProjectName, told: Sequence[Told]) -> None:
        """Have channels and the audit log tell of a change, in the order of their locks."""
        project = project_from_row(lock_project(connection, name))
        waiting = _select(connection, _WAITS, PROMOTION.c.project == name)[::-1]
        tell = partial(tell_of_promotions, connection, project, waiting, self._database.now())
        done_aside(connection, f"telling of promotions to {name}", tell)
        for one in told:
            self._ledger.append(connection, *one)

    def get_promotion(self, promotion: PromotionId) -> Promotion:
        """Return it with its votes. Raises ``NotFound``."""
        with self._database.reading() as connection:
            return _get(connection, promotion)

    def list_waiting(self, project: ProjectName | None = None) -> Sequence[Promotion]:
        """Return those that wait, oldest first, of one project or of all."""
        conditions = [_WAITS] if project is None else [_WAITS, PROMOTION.c.project == project]
        with self._database.reading() as connection:
            return _select(connection, *conditions)[::-1]

    def list_promotions(
        self,
        project: ProjectName,
        *,
        before: PromotionId | None = None,
        limit: int = 50,
    ) -> Sequence[Promotion]:
        """Return newest first, whatever became of them; those with an id below ``before``."""
        conditions = PROMOTION.c.project == project, below(PROMOTION.c.id, before)
        with self._database.reading() as connection:
            return _select(connection, *conditions, limit=limit)

    def find_promotion(self, deployment: Deployment) -> Promotion | None:
        """Return what ``deployment`` was admitted for; None: nothing, or it is no promotion."""
        with self._database.reading() as connection:
            return find_promotion_of(connection, deployment)


def end_waiting(connection: Connection, project: ProjectName, now: datetime) -> list[Told]:
    """End what waits for a project that gets its revisions elsewhere now; return what to tell."""
    waiting = _select(connection, _WAITS, PROMOTION.c.project == project)
    return [_end(connection, one, PromotionStatus.SUPERSEDED, now) for one in waiting[::-1]]


def find_promotion_of(connection: Connection, deployment: Deployment) -> Promotion | None:
    """Return what ``deployment`` was admitted for; None: nothing, or it is no promotion."""
    same = PROMOTION.c.fingerprint == deployment.revision.fingerprint
    meant = PROMOTION.c.became == deployment.id
    if not deployment.forced:
        # What became of it may not be noted yet, or was one that this deployment goes on from.
        meant |= PROMOTION.c.deployment == deployment.promotes
    mine = PROMOTION.c.project == deployment.project
    return next(iter(_select(connection, mine, same, meant, limit=1)), None)


def _require_verified(connection: Connection, promotion: Promotion) -> None:
    """Lock the project, and see that what it is to get was verified in the environment before."""
    project = project_from_row(lock_project(connection, promotion.project))
    if project.promoted_from != promotion.origin:
        raise Conflict(f"{project.name!r} is not promoted from {promotion.origin!r}")
    status = connection.execute(
        select(DEPLOYMENT.c.status).where(
            DEPLOYMENT.c.id == promotion.deployment, DEPLOYMENT.c.project == promotion.origin
        )
    ).scalar_one_or_none()
    if status is None:
        remedy = f"`reconciler deployments {promotion.origin}` lists them"
        raise NotFound(
            f"project {promotion.origin!r} has no deployment {promotion.deployment}; {remedy}"
        )
    if status != Status.DEPLOYED:
        raise Conflict(
            f"deployment {promotion.deployment} of {promotion.origin!r} is {status}: "
            "only what was verified there can be promoted"
        )


def _newest(connection: Connection, project: ProjectName) -> int:
    newest = select(func.coalesce(func.max(PROMOTION.c.id), 0))
    return int(connection.execute(newest.where(PROMOTION.c.project == project)).scalar_one())


def _find_waiting(connection: Connection, promotion: Promotion) -> Promotion | None:
    same = PROMOTION.c.fingerprint == promotion.revision.fingerprint
    mine = PROMOTION.c.project == promotion.project
    return next(iter(_select(connection, _WAITS, mine, same)), None)


def _insert(connection: Connection, promotion: Promotion) -> Promotion:
    columns = {
        "project": promotion.project,
        "origin": promotion.origin,
        "deployment": promotion.deployment,
        "revision": revision_to_json(promotion.revision),
        "fingerprint": promotion.revision.fingerprint,
        "proposed_at": promotion.proposed_at,
        "expires_at": promotion.expires_at,
        "status": PromotionStatus.WAITING,
        **_asked(promotion),
    }
    statement = insert(PROMOTION).values(columns).returning(PROMOTION.c.id)
    return _get(connection, PromotionId(connection.execute(statement).scalar_one()))


def _adds_to(found: Promotion, promotion: Promotion) -> bool:
    """Tell whether a person asks for more than what waits: for it at all, or past its brakes."""
    first = not found.asked_by or (bool(promotion.override) and not found.override)
    return bool(promotion.asked_by) and first


def _ask_for(connection: Connection, found: Promotion, asked: Promotion) -> Promotion:
    """Note who wants it from now on, and why."""
    this = PROMOTION.c.id == found.id
    connection.execute(update(PROMOTION).where(this).values(_asked(asked)))
    return _get(connection, found.id)


def _asked(promotion: Promotion) -> dict[str, str]:
    names = "asked_by", "reason", "override"
    return {name: clean_text(getattr(promotion, name)) for name in names}


def _end(
    connection: Connection,
    found: Promotion,
    status: PromotionStatus,
    now: datetime,
    became: DeploymentId | None = None,
) -> Told:
    """End one that waits, its project locked; return what there is to tell."""
    if status is PromotionStatus.WAITING:
        raise Conflict(f"promotion {found.id} can't end as {status}")
    connection.execute(
        update(PROMOTION)
        .where(PROMOTION.c.id == found.id)
        .values(status=status, decided_at=now, became=became)
    )
    after = {"promotion": found.id, "status": str(status), "deployment": became}
    return Told("promotion.end", f"project {found.project}", None, after)


def _require_waiting(found: Promotion, now: datetime) -> None:
    if found.status is not PromotionStatus.WAITING:
        raise Conflict(f"promotion {found.id} waits no longer: it is {found.status}")
    if found.expires_at <= now:
        raise Conflict(f"promotion {found.id} waits no longer: it has expired")


def _told_of_proposal(kept: Promotion) -> Told:
    after = {
        "promotion": kept.id,
        "from": kept.origin,
        "deployment": kept.deployment,
        "revision": str(kept.revision),
        **_asked(kept),
    }
    return Told("promotion.propose", f"project {kept.project}", None, after)


def _told_of_vote(found: Promotion, vote: Vote, needed: int) -> Told:
    after = {
        "promotion": found.id,
        "revision": str(found.revision),
        "approvals": f"{len(found.approvals)} of {needed}",
        "reason": clean_text(vote.reason),
    }
    action = f"promotion.{'approve' if vote.approves else 'reject'}"
    return Told(action, f"project {found.project}", None, after)


# ── Rows ──────────────────────────────────────────────────────────────────────────────────────


def _lock(connection: Connection, promotion: PromotionId) -> Promotion:
    """Lock its project, as whoever changes anything of that does, and return it as it is then."""
    lock_project(connection, _get(connection, promotion).project)
    return _get(connection, promotion)


def _get(connection: Connection, promotion: PromotionId) -> Promotion:
    found = _select(connection, PROMOTION.c.id == promotion)
    if not found:
        raise NotFound(f"there is no promotion {promotion}; `reconciler environments` shows them")
    return found[0]


def _select(
    connection: Connection, *conditions: ColumnElement[bool], limit: int | None = None
) -> list[Promotion]:
    """Return those that meet every condition, newest first, each with its votes."""
    statement = select(PROMOTION).where(*conditions).order_by(PROMOTION.c.id.desc()).limit(limit)
    rows = connection.execute(statement).all()
    votes = _select_votes(connection, [row.id for row in rows])
    return [_promotion(row, votes.get(row.id, [])) for row in rows]


def _select_votes(connection: Connection, ids: Sequence[int]) -> dict[int, list[Vote]]:
    found: dict[int, list[Vote]] = defaultdict(list)
    for start in range(0, len(ids), MOST_PARAMETERS):
        some = VOTE.c.promotion.in_(ids[start : start + MOST_PARAMETERS])
        for row in connection.execute(select(VOTE).where(some).order_by(VOTE.c.at, VOTE.c.person)):
            found[row.promotion].append(Vote(row.person, row.approves, row.at, row.reason))
    return found


def _promotion(row: Row[Any], votes: Sequence[Vote]) -> Promotion:
    return Promotion(
        id=PromotionId(row.id),
        project=ProjectName(row.project),
        origin=ProjectName(row.origin),
        deployment=DeploymentId(row.deployment),
        revision=revision_from_json(row.revision),
        proposed_at=row.proposed_at,
        expires_at=row.expires_at,
        asked_by=row.asked_by,
        reason=row.reason,
        override=row.override,
        status=PromotionStatus(row.status),
        decided_at=row.decided_at,
        became=DeploymentId(row.became) if row.became is not None else None,
        votes=tuple(votes),
    )
