"""What a form of declared fields changes, and where what is wrong is shown."""

from typing import Any

import pytest

from reconciler.domain.errors import ChangedMeanwhile, InvalidInput, SeveralInvalid
from reconciler.domain.project import ProjectKind
from reconciler.domain.target import TargetStrategy
from reconciler.web.pages.project_settings.fields import change_of, form_of, texts_of
from reconciler.web.pages.project_settings.sections import (
    ENVIRONMENT,
    ROLL_OUT,
    RULES,
    SECTIONS,
    SOURCE,
    sections_of,
)
from reconciler.web.pages.project_settings.target_section import target_section
from reconciler.web.schemas.projects import ProjectPatch
from reconciler.web.schemas.targets import TargetPatch

TARGET = target_section(ProjectKind.COMPOSE, None, whole=True)
HTTP = {"kind": "http", "port": 80, "path": "/a", "status": "200", "retries": 3}


@pytest.mark.parametrize(
    ("section", "declared", "typed", "change"),
    [
        pytest.param(SOURCE, {"branch": "main"}, {"branch": "next"}, {"branch": "next"}, id="text"),
        pytest.param(SOURCE, {"branch": "main"}, {"branch": " main "}, {}, id="same"),
        pytest.param(SOURCE, {"branch": "main"}, {"branch": ""}, {"branch": None}, id="cleared"),
        pytest.param(
            SOURCE, {"skip_markers": True}, {"skip_markers": ""}, {"skip_markers": False}, id="off"
        ),
        pytest.param(
            RULES,
            {"rules": {"approvals": 2, "windows": ["mon 09:00-10:00 UTC"]}},
            {"rules.approvals": "1"},
            {"rules": {"approvals": 1, "windows": ["mon 09:00-10:00 UTC"]}},
            id="a-part-keeps-the-others",
        ),
        pytest.param(
            RULES,
            {"rules": {"approvals": 2}},
            {"rules.approvals": ""},
            {"rules": None},
            id="last-part",
        ),
        pytest.param(
            ENVIRONMENT,
            {},
            {"environment.soak_seconds": "1 h"},
            {"environment": {"soak_seconds": 3600}},
            id="new",
        ),
        pytest.param(
            ROLL_OUT,
            {"version": {"port": 80}},
            {"version": ""},
            {"version": None},
            id="switched-off",
        ),
        pytest.param(ROLL_OUT, {}, {"version": "on"}, {"version": {}}, id="switched-on-and-empty"),
        pytest.param(
            ROLL_OUT,
            {"migration": {"command": ["a", "b"], "timeout_seconds": 60}},
            {"migration": "on", "migration.command": "a b", "migration.timeout_seconds": "2 min"},
            {"migration": {"command": ["a", "b"], "timeout_seconds": 120}},
            id="a-command-as-it-was",
        ),
        pytest.param(
            TARGET, {"health": HTTP}, {"health.kind": ""}, {"health": None}, id="no-check"
        ),
        pytest.param(
            TARGET,
            {"health": HTTP},
            {"health.kind": "tcp", "health.path": "/b", "health.port": "81"},
            {"health": {"kind": "tcp", "port": 81, "retries": 3}},
            id="another-kind-of-check",
        ),
    ],
)
def test_what_a_form_changes(
    section: Any, declared: dict[str, Any], typed: dict[str, str], change: dict[str, Any]
) -> None:
    assert change_of(section, declared, texts_of(section, declared) | typed) == change


def test_a_form_sent_as_it_was_shown_changes_nothing() -> None:
    declared = {"branch": "main", "watch_paths": ("a", "b"), "skip_markers": True}
    assert change_of(SOURCE, declared, texts_of(SOURCE, declared)) == {}


def test_a_field_that_was_not_in_the_form_is_left_alone() -> None:
    assert change_of(SOURCE, {"branch": "main", "skip_markers": True}, {"branch": "main"}) == {}


def test_what_is_wrong_stands_at_its_field() -> None:
    wrong = [
        InvalidInput("rules.windows.0", "mon", "is no window"),
        InvalidInput("rules.approvals", 99, "is too many"),
        InvalidInput("auto_deploy", None, "is for another form"),
    ]
    form = form_of(RULES, {}, seen="v1", own=None, fields={}, error=SeveralInvalid(wrong))
    found = {one.spec.name: one.problems for one in form.entries if one.problems}
    assert found == {"rules.windows": (wrong[0],), "rules.approvals": (wrong[1],)}
    assert (form.problems, form.wrong) == ([wrong[2]], "rules.windows")


def test_a_change_meanwhile_is_shown_beside_what_was_typed() -> None:
    typed = {"branch": "mine", "compose_path": "a.yaml", "seen": "v1"}
    now = {"branch": "theirs", "compose_path": "a.yaml"}
    form = form_of(SOURCE, now, seen="v2", own=None, fields=typed, error=ChangedMeanwhile())
    shown = {one.spec.name: (one.text, one.declared) for one in form.entries}
    assert (shown["branch"], shown["compose_path"]) == (("mine", "theirs"), ("a.yaml", None))
    assert form.seen == "v2"
    # What is wrong in itself keeps its guard: nobody has seen yet what changed.
    wrong = InvalidInput("branch", "-", "is none")
    form = form_of(SOURCE, now, seen="v2", own=None, fields=typed, error=wrong)
    assert form.seen == "v1"
    assert {one.declared for one in form.entries if one.problems} == {"theirs"}


def test_what_reaches_beyond_is_no_field() -> None:
    form = form_of(SOURCE, {}, seen="", own=frozenset({"branch"}))
    assert [one.spec.name for one in form.entries if one.may_change] == ["branch"]
    assert (form.may_change, form.holds_back) == (True, True)


def test_every_field_is_one_of_the_api() -> None:
    shown = {spec.top for one in SECTIONS.values() for group in one.groups for spec in group.every}
    # What has a button of its own: the toggle.
    assert set(ProjectPatch.model_fields) - shown == {"auto_deploy"}
    assert shown <= set(ProjectPatch.model_fields)
    fields = {
        spec.top
        for kind in (ProjectKind.COMPOSE, ProjectKind.UNIT)
        for group in target_section(kind, None, whole=False).groups
        for spec in group.every
    }
    assert fields - {"host"} <= set(TargetPatch.model_fields)
    # Of clusters, and what can only be the project's own.
    assert set(TargetPatch.model_fields) - fields == {"workloads", "namespace", "branch"}


def test_sections_of_a_kind() -> None:
    assert set(sections_of(ProjectKind.TUNNEL)) == {"rules", "environment"}
    assert set(sections_of(ProjectKind.IMAGE)) == set(SECTIONS) - {"forge"}
    source = sections_of(ProjectKind.IMAGE)["source"]
    assert [spec.name for group in source.groups for spec in group.every] == ["image"]


def test_strategies_that_the_form_offers() -> None:
    place = target_section(ProjectKind.IMAGE, None, whole=True).groups[0]
    offered = next(spec.options for spec in place.fields if spec.name == "strategy")
    assert [value for value, _ in offered] == [TargetStrategy.COMPOSE]
