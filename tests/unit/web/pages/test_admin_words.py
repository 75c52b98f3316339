"""What the daemon's own pages say: entries of the audit log, loops, and what settings cost."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.domain.audit import AuditEntry, Changes
from reconciler.scheduling import LoopHealth
from reconciler.web.pages.admin.audit_words import AuditLine, ChangedField, did
from reconciler.web.pages.admin.setting_rows import cost
from reconciler.web.pages.loops import late_loops

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def line(action: str, changes: Changes | None = None) -> AuditLine:
    entry = AuditEntry(7, NOW, "ada", "192.0.2.7", "r1", action, "project shop", changes or {})
    return AuditLine.of(entry)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("project.change", "changed"),
        ("channel.create", "created"),
        ("host.remove", "removed"),
        ("project.deploy", "asked for a deployment of"),
        ("access.denied", "was refused"),
        ("thing.put-away", "put away"),  # one that nobody has words for yet
    ],
)
def test_what_was_done(action: str, said: str) -> None:
    assert did(action) == said


def test_refusals_are_told_from_what_was_done() -> None:
    assert line("access.denied").refused
    assert line("sign-in.failed").refused
    assert not line("project.change").refused


def test_a_change_is_a_line_before_and_one_after() -> None:
    shown = line(
        "project.change", {"auto_deploy": (True, False), "image": (None, "a"), "x": (1, 1)}
    )
    assert shown.changes == [
        ChangedField("auto_deploy", "true", "false"),
        ChangedField("image", None, "a"),
    ]


def test_a_long_value_is_cut() -> None:
    (only,) = line("project.change", {"template": ("", "a" * 9000)}).changes
    assert only.after is not None
    assert len(only.after) == 2001


@pytest.mark.parametrize(
    ("things", "requests", "said"),
    [
        (31, 186.0, "31 images: about 186 requests an hour."),
        (1, 0.6, "1 image: about 1 request an hour."),
        (1000, 60_000, "1,000 images: about 60,000 requests an hour."),
        (0, 0, "No image is looked at now."),
    ],
)
def test_what_looking_costs(things: int, requests: float, said: str) -> None:
    assert cost(things, "image", requests) == said


def test_late_loops_are_named_in_words() -> None:
    loops = [
        LoopHealth("polls", NOW, timedelta(minutes=7), ok=False),
        LoopHealth("images", NOW, timedelta(0), ok=True),
        LoopHealth("leases", None, timedelta(0), ok=False),
    ]
    assert late_loops(loops) == [
        "Looks at git servers: 7 min 00 s late",
        "Keeps deployments: stopped",
    ]
