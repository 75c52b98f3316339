"""The images that are watched."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.registry_event import ImagesHint
from reconciler.domain.revision import ImageDigests
from reconciler.domain.state import WatchedImage
from reconciler.store.aside import done_aside
from reconciler.store.codec import digest_from_text, failure_from_json, failure_to_json
from reconciler.store.family import Family, lock_project, no_such_project
from reconciler.store.notices import tell_of_images
from reconciler.store.project_rows import project_from_row
from reconciler.store.tables import PROJECT, PROJECT_STATE, WATCHED_IMAGE
from reconciler.store.tracking import Tracked, get_tracked, put_tracked


class SqlImages(Family):
    """``WatchStore``."""

    def get_images(self, name: ProjectName) -> Sequence[WatchedImage]:
        """Return the project's images, in file order."""
        with self._database.reading() as connection:
            return _select_images(connection, name)

    def list_images(self) -> Mapping[ProjectName, Sequence[WatchedImage]]:
        """Return the images of all projects that have any."""
        found: dict[ProjectName, list[WatchedImage]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(select(WATCHED_IMAGE).order_by(WATCHED_IMAGE.c.position)):
                found[row.project].append(_image(row))
        return found

    def images_looked_at(self) -> Mapping[ProjectName, datetime]:
        """Return when the images of each project were looked up last."""
        newest = func.max(WATCHED_IMAGE.c.looked_at, type_=WATCHED_IMAGE.c.looked_at.type)
        statement = (
            select(WATCHED_IMAGE.c.project, newest.label("at"))
            .where(WATCHED_IMAGE.c.looked_at.is_not(None))
            .group_by(WATCHED_IMAGE.c.project)
        )
        with self._database.reading() as connection:
            return {ProjectName(row.project): row.at for row in connection.execute(statement)}

    def images_read_at(self, name: ProjectName) -> str:
        """Return the key given to ``put_images``; empty before the first."""
        with self._database.reading() as connection:
            read_at = connection.execute(
                select(PROJECT_STATE.c.images_read_at).where(PROJECT_STATE.c.project == name)
            ).scalar_one_or_none()
        if read_at is None:
            raise no_such_project(name)
        return str(read_at)

    def put_images(self, name: ProjectName, read_at: str, images: Sequence[WatchedImage]) -> None:
        """Replace the project's images; digests already known are kept."""
        with self._database.writing() as connection:
            lock_project(connection, name)
            known = {image.image: image for image in _select_images(connection, name)}
            connection.execute(delete(WATCHED_IMAGE).where(WATCHED_IMAGE.c.project == name))
            if images:
                kept = [_keep_known(image, known.get(image.image)) for image in images]
                connection.execute(insert(WATCHED_IMAGE), list(_rows(name, kept)))
            connection.execute(
                update(PROJECT_STATE)
                .where(PROJECT_STATE.c.project == name)
                .values(images_read_at=read_at)
            )

    def list_image_followers(self, hint: ImagesHint) -> Sequence[Project]:
        """Return the projects that watch an image that ``hint`` concerns, by name."""
        image = WATCHED_IMAGE.c.image
        named = [str(one) for one in hint.images if one.tag is not None]
        of_any_tag = [
            image.startswith(f"{one}:", autoescape=True) for one in hint.images if one.tag is None
        ]
        watching = select(WATCHED_IMAGE.c.project).where(
            WATCHED_IMAGE.c.unwatched_because == "", or_(image.in_(named), *of_any_tag)
        )
        with self._database.reading() as connection:
            rows = connection.execute(select(PROJECT).where(PROJECT.c.name.in_(watching))).all()
        return sorted(map(project_from_row, rows), key=lambda project: project.name)

    def record_lookups(
        self, lookups: Mapping[ProjectName, Sequence[WatchedImage]], since: datetime | None = None
    ) -> None:
        """Record what look-ups gave, for images that are still in the file.

        What a look-up recorded that came to its end after ``since`` stays as it is.
        """
        rows = [
            {"project_name": name, "looked_up": image.image, **_lookup(image)}
            for name in sorted(lookups)  # in one order, so that two replicas never wait in a ring
            for image in sorted(lookups[name], key=lambda image: image.image)
        ]
        if not rows:
            return
        statement = (
            update(WATCHED_IMAGE)
            .where(
                WATCHED_IMAGE.c.project == bindparam("project_name"),
                WATCHED_IMAGE.c.image == bindparam("looked_up"),
                *_not_looked_at_after(since),
            )
            .values({column: bindparam(column) for column in _LOOKUP_COLUMNS})
        )
        with self._database.writing() as connection:
            connection.execute(statement, rows)
            tell = partial(tell_of_images, connection, lookups, self._database.now())
            done_aside(connection, "telling others of images", tell)

    def seed_images(
        self, name: ProjectName, digests: ImageDigests, compared_with: ImageDigests | None = None
    ) -> bool:
        """Record digests as tracked without asking for a deployment; drop those not in the file.

        False, and nothing is recorded, if other ones than ``compared_with`` are tracked by now.
        """
        with self._database.writing() as connection:
            lock_project(connection, name)
            images = _select_images(connection, name)
            watched = {image.image for image in images if not image.unwatched_because}
            tracked = get_tracked(connection, name)
            if compared_with is not None and compared_with != tracked.images:
                return False
            kept = {image: digest for image, digest in tracked.images.items() if image in watched}
            put_tracked(connection, name, Tracked(tracked.commit, {**kept, **digests}))
            connection.execute(
                update(PROJECT_STATE)
                .where(PROJECT_STATE.c.project == name)
                .values(images_seeded=True)
            )
        return True


_LOOKUP_COLUMNS = ("digest", "first_seen_at", "looked_at", "error")


def _not_looked_at_after(since: datetime | None) -> list[ColumnElement[bool]]:
    looked_at = WATCHED_IMAGE.c.looked_at
    return [] if since is None else [looked_at.is_(None) | (looked_at <= since)]


def _keep_known(image: WatchedImage, known: WatchedImage | None) -> WatchedImage:
    if known is None or image.digest is not None:
        return image
    return replace(
        image,
        digest=known.digest,
        first_seen_at=known.first_seen_at,
        looked_at=known.looked_at,
        error=known.error,
    )


def _select_images(connection: Connection, name: ProjectName) -> list[WatchedImage]:
    statement = (
        select(WATCHED_IMAGE)
        .where(WATCHED_IMAGE.c.project == name)
        .order_by(WATCHED_IMAGE.c.position)
    )
    return [_image(row) for row in connection.execute(statement)]


def _image(row: Row[Any]) -> WatchedImage:
    return WatchedImage(
        image=row.image,
        services=tuple(row.services),
        unwatched_because=row.unwatched_because,
        digest=digest_from_text(row.digest),
        first_seen_at=row.first_seen_at,
        looked_at=row.looked_at,
        error=failure_from_json(row.error),
        note=row.note,
    )


def _lookup(image: WatchedImage) -> dict[str, Any]:
    return {
        "digest": image.digest.text if image.digest else None,
        "first_seen_at": image.first_seen_at,
        "looked_at": image.looked_at,
        "error": failure_to_json(image.error),
    }


def _rows(name: ProjectName, images: Iterable[WatchedImage]) -> Iterable[dict[str, Any]]:
    for position, image in enumerate(images):
        yield {
            "project": name,
            "image": image.image,
            "position": position,
            "services": list(image.services),
            "unwatched_because": image.unwatched_because,
            "note": image.note,
            **_lookup(image),
        }
