"""What a claim's holder records: stages, what was prepared, and how it ended."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from reconciler.domain.deployment import (
    TRANSITIONS,
    DeploymentId,
    PreparedRevision,
    Stage,
    Status,
    TargetStatus,
)
from reconciler.domain.errors import ClaimLost, Conflict, NotFound
from reconciler.domain.evidence import Evidence, cleaned
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostName
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.ports import Claim
from reconciler.store.claims import close_open_stages, find_waiting, write_claimed
from reconciler.store.codec import clean_text, failure_to_json, prepared_to_json, revision_to_json
from reconciler.store.deployment_rows import find_deployment, get_deployment
from reconciler.store.family import Family, lock_project
from reconciler.store.project_rows import project_from_row
from reconciler.store.standings import end_standing
from reconciler.store.tables import (
    DEPLOYMENT,
    DEPLOYMENT_TARGET,
    PROJECT,
    PROJECT_STATE,
    QUARANTINE,
    STAGE,
)
from reconciler.store.tracking import Tracked, get_tracked, hand_over, put_tracked, take_back
from reconciler.store.upsert import insert_if_absent
from reconciler.store.withdrawals import refuse_withdrawn


class SqlRollouts(Family):
    """The part of ``DeploymentStore`` that needs a claim."""

    def begin_stage(self, claim: Claim, stage: Stage, now: datetime) -> None:
        """Record that a stage begins; one that begins again gets a record of its own."""
        with self._database.writing() as connection:
            if stage.is_before_any_change:
                write_claimed(connection, claim, stage=stage)
            else:
                _begin_to_change(connection, claim, stage, now)
            connection.execute(
                insert(STAGE).values(
                    deployment=claim.deployment.id, stage=stage, started_at=now, outcome=""
                )
            )

    def end_stage(self, claim: Claim, stage: Stage, outcome: str, now: datetime) -> None:
        """Record how it ended; without effect if it was ended before."""
        with self._database.writing() as connection:
            write_claimed(connection, claim, stage=stage)
            connection.execute(
                update(STAGE)
                .where(
                    STAGE.c.deployment == claim.deployment.id,
                    STAGE.c.stage == stage,
                    STAGE.c.finished_at.is_(None),
                )
                .values(finished_at=now, outcome=clean_text(outcome))
            )

    def record_target(
        self,
        claim: Claim,
        host: HostName,
        status: TargetStatus,
        now: datetime,
        *,
        error: Failure | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        """Record how far it got on one host; when it began there stays, and what is not given."""
        with self._database.writing() as connection:
            write_claimed(connection, claim, stage=DEPLOYMENT.c.stage)
            key = {"deployment": claim.deployment.id, "host": host}
            values = {"status": status, "changed_at": now, "error": failure_to_json(error)}
            if evidence is not None:
                values["evidence"] = cleaned(evidence, clean_text)
            if not insert_if_absent(
                connection, DEPLOYMENT_TARGET, key, {**values, "started_at": now}
            ):
                connection.execute(
                    update(DEPLOYMENT_TARGET)
                    .where(
                        DEPLOYMENT_TARGET.c.deployment == claim.deployment.id,
                        DEPLOYMENT_TARGET.c.host == host,
                    )
                    .values(values)
                )

    def record_prepared(self, claim: Claim, prepared: PreparedRevision) -> None:
        """Keep what applying needs."""
        with self._database.writing() as connection:
            write_claimed(
                connection, claim, prepared=prepared_to_json(prepared), prepared_kept=True
            )

    def finish(
        self,
        claim: Claim,
        status: Status,
        now: datetime,
        *,
        error: Failure | None = None,
        rolled_back_to: DeploymentId | None = None,
        quarantine: str = "",
    ) -> None:
        """End it, in one transaction with what follows from it."""
        if not status.final or status not in TRANSITIONS[Status.RUNNING]:
            raise Conflict(f"a running deployment can't end as {status}")
        name, deployment = claim.deployment.project, claim.deployment.id
        with self._database.writing() as connection:
            _lock_project_of(connection, claim)
            write_claimed(
                connection,
                claim,
                status=status,
                finished_at=now,
                error=failure_to_json(error),
                rolled_back_to=rolled_back_to,
                **_released(),
            )
            close_open_stages(connection, deployment, now)
            if quarantine:
                _quarantine(connection, name, deployment, now, quarantine)
            if follow_up := _FOLLOW_UPS.get(status):
                follow_up(connection, name, deployment)
            self._aftermath.ended(connection, get_deployment(connection, deployment))

    def retry_later(self, claim: Claim, not_before: datetime, error: Failure) -> None:
        """Put it back into the queue, or end it where a newer one waits already."""
        deployment = claim.deployment.id
        with self._database.writing() as connection:
            _lock_project_of(connection, claim)
            newer = find_waiting(connection, claim.deployment.project)
            if newer is None:
                write_claimed(
                    connection,
                    claim,
                    status=Status.QUEUED,
                    attempt=DEPLOYMENT.c.attempt + 1,
                    not_before=not_before,
                    error=failure_to_json(error),
                    **_released(),
                )
            else:
                write_claimed(
                    connection,
                    claim,
                    status=Status.SUPERSEDED,
                    superseded_by=newer,
                    finished_at=self._database.now(),
                    error=failure_to_json(error),
                    **_released(),
                )
                hand_over(connection, older=deployment, newer=newer)
            close_open_stages(connection, deployment, self._database.now())
            left = get_deployment(connection, deployment)
            if newer is None:
                self._aftermath.put_back(connection, left)
            else:
                self._aftermath.ended(connection, left)


def _lock_project_of(connection: Connection, claim: Claim) -> None:
    """Lock the project first, as everyone does; a claim on a removed project is lost."""
    try:
        lock_project(connection, claim.deployment.project)
    except NotFound as error:
        raise ClaimLost(f"deployment {claim.deployment.id} was removed with its project") from error


def _begin_to_change(connection: Connection, claim: Claim, stage: Stage, now: datetime) -> None:
    """Begin a stage after which what stood no longer does, unless a person withdrew it."""
    _lock_project_of(connection, claim)
    write_claimed(connection, claim, stage=stage)
    refuse_withdrawn(connection, claim.deployment.id)
    end_standing(connection, claim.deployment.project, claim.deployment.id, now)


def _released() -> dict[str, object]:
    return {"owner": "", "lease_until": None}


def _quarantine(
    connection: Connection, name: ProjectName, deployment: DeploymentId, now: datetime, reason: str
) -> None:
    """Quarantine the deployment's revision, as completely as it is known."""
    revision = _target_revision(connection, deployment)
    connection.execute(
        delete(QUARANTINE).where(
            QUARANTINE.c.project == name, QUARANTINE.c.fingerprint == revision.fingerprint
        )
    )
    connection.execute(
        insert(QUARANTINE).values(
            project=name,
            fingerprint=revision.fingerprint,
            revision=revision_to_json(revision),
            deployment=deployment,
            since=now,
            reason=clean_text(reason),
        )
    )


def _target_revision(connection: Connection, deployment: DeploymentId) -> Revision:
    found = find_deployment(connection, deployment)
    assert found is not None  # noqa: S101  the claim on it holds
    return found.target_revision


# ── What follows from an end ──────────────────────────────────────────────────────────────────


def _after_deployed(connection: Connection, name: ProjectName, deployment: DeploymentId) -> None:
    """Make it the live one; know its digests; give every other revision a new chance."""
    _set_live(connection, name, deployment)
    revision = _target_revision(connection, deployment)
    tracked = get_tracked(connection, name)
    put_tracked(connection, name, Tracked(tracked.commit, {**revision.images, **tracked.images}))
    _seed_if_watched(connection, name)
    # Its own quarantine goes as well: a revision that was forced, and verified, is good.
    connection.execute(delete(QUARANTINE).where(QUARANTINE.c.project == name))


def _seed_if_watched(connection: Connection, name: ProjectName) -> None:
    """Let what was just resolved be the first look at the images, where they are watched.

    Of what was adopted always: what ran may be older than what its tags meant already.
    """
    row = connection.execute(select(PROJECT).where(PROJECT.c.name == name)).one()
    project = project_from_row(row)
    watched = project.auto_deploy or project.followed_folder is not None
    if watched and project.follows_its_source:
        connection.execute(
            update(PROJECT_STATE).where(PROJECT_STATE.c.project == name).values(images_seeded=True)
        )


def _after_rolled_back(connection: Connection, name: ProjectName, deployment: DeploymentId) -> None:
    """Make the one that runs again the live one."""
    target = connection.execute(
        select(DEPLOYMENT.c.rolled_back_to).where(DEPLOYMENT.c.id == deployment)
    ).scalar_one()
    if target is not None:
        _set_live(connection, name, target)


def _after_superseded(connection: Connection, name: ProjectName, deployment: DeploymentId) -> None:
    """Let the one that waits answer for what it made tracked."""
    if newer := find_waiting(connection, name):
        hand_over(connection, older=deployment, newer=newer)


def _set_live(connection: Connection, name: ProjectName, deployment: DeploymentId) -> None:
    connection.execute(
        update(PROJECT_STATE)
        .where(PROJECT_STATE.c.project == name)
        .values(live_deployment_id=deployment, drift=None)
    )


_FOLLOW_UPS: dict[Status, Callable[[Connection, ProjectName, DeploymentId], None]] = {
    Status.DEPLOYED: _after_deployed,
    Status.ROLLED_BACK: _after_rolled_back,
    Status.SUPERSEDED: _after_superseded,
    Status.WITHDRAWN: take_back,
}
