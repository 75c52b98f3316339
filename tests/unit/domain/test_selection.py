"""Which commits concern a project."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.domain.path_patterns import parse_patterns
from reconciler.domain.project import ExternalSource, Project, ProjectKind
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import BranchName, CommitSha, GitUrl, ProjectName
from reconciler.domain.selection import is_selective, reason_to_pass_over

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SOURCE = ExternalSource(GitUrl.parse("https://git.example/mono.git"), BranchName("main"))
SHOP = Project(ProjectName("shop"), ProjectKind.COMPOSE, NOW, NOW, source=SOURCE)
WATCHING = replace(SHOP, watch_paths=parse_patterns(["apps/shop", "libs/**/*.sql"]))
HEEDING = replace(SHOP, skip_markers=True)
BASE = CommitSha("b" * 40)
UNTOUCHED, MARKED = ReasonCode.PATH_UNTOUCHED, ReasonCode.SKIP_MARKER


@pytest.mark.parametrize(
    ("project", "selective"),
    [
        pytest.param(SHOP, False, id="neither"),
        pytest.param(WATCHING, True, id="paths"),
        pytest.param(HEEDING, True, id="markers"),
        pytest.param(replace(WATCHING, source=None), False, id="no-repository"),
    ],
)
def test_who_chooses(project: Project, selective: bool) -> None:
    """Nothing is compared for a project that takes every commit."""
    assert is_selective(project) is selective


@pytest.mark.parametrize(
    ("project", "paths", "message", "code"),
    [
        pytest.param(WATCHING, ("apps/shop/main.py",), "", None, id="in-its-folder"),
        pytest.param(WATCHING, ("apps/shop",), "", None, id="its-folder-became-a-file"),
        pytest.param(WATCHING, ("a", "libs/db/x.sql", "z"), "", None, id="one-of-many"),
        pytest.param(WATCHING, ("apps/shopping/x", "README"), "", UNTOUCHED, id="beside-it"),
        pytest.param(WATCHING, ("x/apps/shop/y",), "", UNTOUCHED, id="below-another"),
        pytest.param(WATCHING, ("apps/shop\n/x", "../apps/shop"), "", UNTOUCHED, id="odd-names"),
        pytest.param(WATCHING, (), "", UNTOUCHED, id="taken-back"),
        pytest.param(WATCHING, None, "", None, id="can-not-be-told"),
        pytest.param(WATCHING, ("apps/shop/x",), "[skip cd]", None, id="marker-not-heeded"),
        pytest.param(HEEDING, ("x",), "fix", None, id="no-marker"),
        pytest.param(HEEDING, None, "fix [skip cd]", MARKED, id="marker"),
        pytest.param(
            replace(WATCHING, skip_markers=True), ("apps/shop/x",), "[ci skip]", MARKED, id="both"
        ),
    ],
)
def test_what_is_passed_over(
    project: Project, paths: tuple[str, ...] | None, message: str, code: ReasonCode | None
) -> None:
    """Only what certainly changes nothing that is watched, or says so itself."""
    reason = reason_to_pass_over(project, BASE, paths, message)
    assert (reason.code if reason else None) == code


@pytest.mark.parametrize(
    ("message", "marked"),
    [
        *((f"Subject\n\nbody {marker} more", True) for marker in ("[skip cd]", "[cd skip]")),
        *((marker, True) for marker in ("[skip ci]", "[ci skip]", "[no ci]", "[SKIP CI]")),
        *((marker, True) for marker in ("[skip actions]", "[actions skip]", "x[Skip Cd]y")),
        *((text, False) for text in ("", "skip cd", "[skip  cd]", "[skip\ncd]", "[no cd]")),
        *((text, False) for text in ("[\u017fkip cd]", "[skip", "]skip cd[", "[skip cd ]")),
    ],
)
def test_markers(message: str, marked: bool) -> None:
    """Anywhere in the message, in any case, and only as they are written."""
    assert (reason_to_pass_over(HEEDING, BASE, ("x",), message) is not None) is marked
