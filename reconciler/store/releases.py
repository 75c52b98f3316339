"""What builds made of commits, as it was reported."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from reconciler.domain.errors import NotFound
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.release import (
    Build,
    Check,
    CheckStatus,
    ReleaseId,
    ReleaseRecord,
    ReleaseReport,
)
from reconciler.domain.revision import Fingerprint
from reconciler.store.codec import JsonObject, digests_from_json, digests_to_json
from reconciler.store.family import Family, lock_project
from reconciler.store.tables import RELEASE
from reconciler.store.upsert import insert_if_absent


class SqlReleases(Family):
    """``ReleaseStore``."""

    def add_release(
        self, report: ReleaseReport, recorded_by: str, now: datetime
    ) -> tuple[ReleaseRecord, bool]:
        """Keep it, unless the same was reported before; return the record, and if it is new."""
        key = {"project": report.project, "fingerprint": report.fingerprint}
        values = {
            "commit": report.commit.text,
            "images": digests_to_json(report.images),
            "build": _build_to_json(report.build),
            "checks": [_check_to_json(check) for check in report.checks],
            "recorded_at": now,
            "recorded_by": recorded_by,
        }
        with self._database.writing() as connection:
            lock_project(connection, report.project)
            added = insert_if_absent(connection, RELEASE, key, values)
            row = connection.execute(select(RELEASE).filter_by(**key)).one()
            if added:
                told = {"release": row.id, "commit": values["commit"], "images": values["images"]}
                subject = f"project {report.project}"
                self._ledger.append(connection, "release.report", subject, None, told)
        return _record(row), added

    def find_release(self, project: ProjectName, fingerprint: Fingerprint) -> ReleaseRecord | None:
        """Return the one that is the same as a report."""
        statement = select(RELEASE).filter_by(project=project, fingerprint=fingerprint)
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        return _record(row) if row else None

    def get_release(self, release: ReleaseId) -> ReleaseRecord:
        """Return it. Raises ``NotFound``."""
        with self._database.reading() as connection:
            row = connection.execute(select(RELEASE).where(RELEASE.c.id == release)).one_or_none()
        if row is None:
            raise NotFound(f"there is no release {release}; `reconciler releases list` lists them")
        return _record(row)

    def list_releases(
        self,
        project: ProjectName | None = None,
        *,
        commit: CommitSha | None = None,
        before: ReleaseId | None = None,
        limit: int = 50,
        projects: Collection[str] | None = None,
    ) -> Sequence[ReleaseRecord]:
        """Return newest first."""
        statement = select(RELEASE).order_by(RELEASE.c.id.desc()).limit(limit)
        if project is not None:
            statement = statement.where(RELEASE.c.project == project)
        if projects is not None:
            statement = statement.where(RELEASE.c.project.in_(projects))
        if commit is not None:
            statement = statement.where(RELEASE.c.commit == commit.text)
        if before is not None:
            statement = statement.where(RELEASE.c.id < before)
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(statement)]


def _record(row: Row[Any]) -> ReleaseRecord:
    report = ReleaseReport(
        project=ProjectName(row.project),
        commit=CommitSha(row.commit),
        images=digests_from_json(row.images),
        build=Build(datetime.fromisoformat(row.build["finished_at"]), row.build["url"]),
        checks=tuple(
            Check(one["name"], CheckStatus(one["status"]), one["url"]) for one in row.checks
        ),
    )
    return ReleaseRecord(ReleaseId(row.id), report, row.recorded_at, row.recorded_by)


def _build_to_json(build: Build) -> JsonObject:
    return {"finished_at": build.finished_at.isoformat(), "url": build.url}


def _check_to_json(check: Check) -> JsonObject:
    return {"name": check.name, "status": str(check.status), "url": check.url}
