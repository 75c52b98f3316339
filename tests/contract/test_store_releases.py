"""Releases, the same on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.errors import NotFound
from reconciler.domain.references import ProjectName
from reconciler.domain.release import Build, Check, CheckStatus, ReleaseId, ReleaseReport
from reconciler.domain.revision import Fingerprint
from reconciler.ports import AuditQuery
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import NOW, WEB, Site, commit, digest, project

BLOG = ProjectName("blog")
IMAGE, WORKER = "registry.example/team/app:1", "registry.example/team/worker:1"
REPORT = ReleaseReport(
    project=WEB,
    commit=commit("a"),
    images={IMAGE: digest("1"), WORKER: digest("2")},
    build=Build(NOW, "https://ci.example/812"),
    checks=(
        Check("unit tests", CheckStatus.SUCCESS, "https://ci.example/812#tests"),
        Check("läuft", CheckStatus.SKIPPED),
    ),
)


def other(letter: str, of: ProjectName = WEB) -> ReleaseReport:
    return replace(REPORT, project=of, commit=commit(letter))


def test_a_release_is_kept_in_every_field(store: SqlStore, site: Site) -> None:
    """Another replica reads it as it was reported."""
    store.create_project(project())
    record, is_new = store.add_release(REPORT, "ci", NOW)
    assert is_new
    assert (record.report, record.recorded_by, record.recorded_at) == (REPORT, "ci", NOW)
    (noted,) = store.list_audit(AuditQuery(action="release.report"))
    assert noted.changes["images"] == (None, {IMAGE: str(digest("1")), WORKER: str(digest("2"))})
    again = site.open()
    assert again.get_release(record.id) == record
    assert again.list_releases(WEB) == [record]
    assert again.find_release(WEB, REPORT.fingerprint) == record
    assert again.find_release(WEB, Fingerprint("0" * 64)) is None


def test_the_first_report_of_a_release_stays(store: SqlStore) -> None:
    """Project, commit and digests make it the same, in any order; build and checks do not."""
    store.create_project(project())
    store.create_project(project("blog"))
    first, _ = store.add_release(REPORT, "ci", NOW)
    turned = dict(reversed(list(REPORT.images.items())))
    same = replace(REPORT, images=turned, build=Build(NOW + timedelta(hours=1)), checks=())
    assert store.add_release(same, "somebody", NOW + timedelta(hours=1)) == (first, False)
    others = (
        replace(REPORT, images={IMAGE: digest("3")}),
        replace(REPORT, commit=commit("b")),
        replace(REPORT, project=BLOG),
    )
    ids = [store.add_release(one, "ci", NOW)[0].id for one in others]
    assert sorted({first.id, *ids}) == [first.id, *ids]


def test_many_reports_at_once_are_one_release(store: SqlStore, site: Site) -> None:
    """From two replicas: one is new, and all are told of the same."""
    store.create_project(project())
    replicas = (store, site.open()) * 8
    with ThreadPoolExecutor(len(replicas)) as pool:
        answers = list(pool.map(lambda one: one.add_release(REPORT, "ci", NOW), replicas))
    assert sum(is_new for _, is_new in answers) == 1
    assert {record.id for record, _ in answers} == {store.list_releases()[0].id}
    assert len(store.list_releases()) == 1


def test_they_are_found_newest_first(store: SqlStore) -> None:
    """Of a project, of a commit, and page by page."""
    store.create_project(project())
    store.create_project(project("blog"))
    a, b, c = (store.add_release(other(letter), "ci", NOW)[0] for letter in "abc")
    elsewhere, _ = store.add_release(other("a", BLOG), "ci", NOW)
    assert store.list_releases() == [elsewhere, c, b, a]
    assert store.list_releases(WEB, limit=2) == [c, b]
    assert store.list_releases(WEB, before=b.id) == [a]
    assert store.list_releases(commit=commit("a")) == [elsewhere, a]
    assert store.list_releases(WEB, commit=commit("a")) == [a]


def test_they_go_with_their_project(store: SqlStore) -> None:
    """And there is none of a project that is not there."""
    with pytest.raises(NotFound, match="web"):
        store.add_release(REPORT, "ci", NOW)
    store.create_project(project())
    record, _ = store.add_release(REPORT, "ci", NOW)
    store.remove_project(WEB)
    assert store.list_releases() == []
    for release in (record.id, ReleaseId(2**31 - 1)):
        with pytest.raises(NotFound, match=str(release)):
            store.get_release(release)
    store.create_project(project())
    assert store.add_release(REPORT, "ci", NOW)[0].id > record.id
