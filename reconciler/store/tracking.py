"""What is tracked of a project, and putting it back when a deployment never came to be."""

from dataclasses import dataclass, replace
from typing import Any, Self

from sqlalchemy import Connection, Row, select, update

from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.revision import ImageDigests
from reconciler.store.codec import (
    commit_from_text,
    commit_to_text,
    digests_from_json,
    digests_to_json,
    revision_from_json,
)
from reconciler.store.tables import DEPLOYMENT, PROJECT_STATE


@dataclass(frozen=True, slots=True)
class Tracked:
    """The newest commit and digests that were acted on."""

    commit: CommitSha | None
    images: ImageDigests

    def without(self, move: "Move") -> Self:
        """Return what was tracked before ``move``; what moved on since then stays as it is."""
        images = dict(self.images)
        for image, digest in move.images.items():
            if images.get(image) == digest:
                images.pop(image)
                if image in move.before.images:
                    images[image] = move.before.images[image]
        commit = move.before.commit if self.commit == move.commit else self.commit
        return replace(self, commit=commit, images=images)


@dataclass(frozen=True, slots=True)
class Move:
    """What one deployment made tracked, and what was tracked before it."""

    commit: CommitSha | None
    images: ImageDigests
    before: Tracked


def get_tracked(connection: Connection, name: ProjectName) -> Tracked:
    """Return what is tracked."""
    columns = PROJECT_STATE.c
    row = connection.execute(
        select(columns.tracked_commit, columns.tracked_images).where(columns.project == name)
    ).one()
    return Tracked(commit_from_text(row.tracked_commit), digests_from_json(row.tracked_images))


def put_tracked(connection: Connection, name: ProjectName, tracked: Tracked) -> None:
    """Replace what is tracked."""
    connection.execute(
        update(PROJECT_STATE)
        .where(PROJECT_STATE.c.project == name)
        .values(
            tracked_commit=commit_to_text(tracked.commit),
            tracked_images=digests_to_json(tracked.images),
        )
    )


def forget_passed_over(connection: Connection, name: ProjectName) -> None:
    """Let the branch's tip be decided anew."""
    connection.execute(
        update(PROJECT_STATE).where(PROJECT_STATE.c.project == name).values(passed_over=None)
    )


def get_move(connection: Connection, deployment: DeploymentId) -> Move:
    """Return what the deployment made tracked."""
    return _move(connection.execute(select(DEPLOYMENT).where(DEPLOYMENT.c.id == deployment)).one())


def take_back(connection: Connection, name: ProjectName, deployment: DeploymentId) -> None:
    """Track what was tracked before ``deployment``, so that the next look notices the move again.

    One that waits behind it was admitted when the move counted as made; it forgets that too.
    """
    move = get_move(connection, deployment)
    put_tracked(connection, name, get_tracked(connection, name).without(move))
    if waiting := _find_queued(connection, name):
        _put_before(connection, waiting.id, _move(waiting).before.without(move))


def hand_over(connection: Connection, older: DeploymentId, newer: DeploymentId) -> None:
    """Make ``newer`` answer for what ``older``, which it replaces, made tracked."""
    move, own = get_move(connection, older), get_move(connection, newer)
    _put_before(connection, newer, own.before.without(move))
    connection.execute(
        update(DEPLOYMENT)
        .where(DEPLOYMENT.c.id == newer)
        .values(moved_images=digests_to_json({**move.images, **own.images}))
    )


def _find_queued(connection: Connection, name: ProjectName) -> Row[Any] | None:
    return connection.execute(
        select(DEPLOYMENT).where(DEPLOYMENT.c.project == name, DEPLOYMENT.c.status == Status.QUEUED)
    ).one_or_none()


def _put_before(connection: Connection, deployment: DeploymentId, before: Tracked) -> None:
    connection.execute(
        update(DEPLOYMENT)
        .where(DEPLOYMENT.c.id == deployment)
        .values(
            before_commit=commit_to_text(before.commit),
            before_images=digests_to_json(before.images),
        )
    )


def _move(row: Row[Any]) -> Move:
    return Move(
        commit=revision_from_json(row.revision).commit,
        images=digests_from_json(row.moved_images),
        before=Tracked(commit_from_text(row.before_commit), digests_from_json(row.before_images)),
    )
