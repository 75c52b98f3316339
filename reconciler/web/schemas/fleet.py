"""Bodies of fleet files."""

from datetime import datetime
from typing import Any, Self

from pydantic import ConfigDict

from reconciler.domain.document import DocumentForm
from reconciler.pipeline.declaring.fleet import (
    Action,
    Applied,
    Difference,
    EntryChange,
    FieldChange,
)
from reconciler.triggers.fleet_watch import FleetStanding
from reconciler.web.schemas.body import AT, SHA, Answer, Asked, said

_FILE = '[projects.shop]\nkind = "image"\nimage = "registry.example/team/app:1.2"\n'


class FleetText(Asked):
    """A fleet file."""

    # Who puts a secret into it by mistake must not find it in an error.
    model_config = ConfigDict(hide_input_in_errors=True)

    text: str = said("The file, at most 1 MiB.", _FILE)
    format: str = said("toml, yaml or json.", "toml")


class FieldChangeBody(Answer):
    """A field that differs."""

    field: str = said("Its name; with dots what is within.", "targets.web1.port")
    before: Any = said("Its value now; null: none, or the default.", 8080)
    after: Any = said("Its value after; null: none, or the default.", 9090)

    @classmethod
    def of(cls, change: FieldChange) -> Self:
        """Return the body of ``change``."""
        return cls(field=change.field, before=change.before, after=change.after)


class EntryChangeBody(Answer):
    """What becomes of one entry."""

    kind: str = said("settings, repository, host or project.", "project")
    name: str = said("Its name; empty for the settings.", "shop")
    action: Action = said("add, change or remove.", "change")
    fields: list[FieldChangeBody] = said("What differs; empty where it is removed.", [])

    @classmethod
    def of(cls, change: EntryChange) -> Self:
        """Return the body of ``change``."""
        return cls(
            kind=change.kind,
            name=change.name,
            action=change.action,
            fields=[FieldChangeBody.of(one) for one in change.fields],
        )


class FleetPlanBody(Answer):
    """What applying would change."""

    changes: list[EntryChangeBody] = said("In the order in which it is done.", [])
    unchanged: int = said("Entries that are as the file says.", 12)

    @classmethod
    def of(cls, difference: Difference) -> Self:
        """Return the body of ``difference``."""
        changes = [EntryChangeBody.of(entry) for entry in difference.entries()]
        return cls(changes=changes, unchanged=difference.unchanged)


class FleetAppliedBody(FleetPlanBody):
    """What applying changed."""

    notes: list[str] = said(
        "What an operator should know of it.",
        ["web1: nobody confirmed its key yet; `reconciler host trust web1`"],
    )
    left: list[str] = said(
        "What could not be removed now, and why.",
        ["project 'shop' is being deployed; remove it once that has ended"],
    )

    @classmethod
    def of_applied(cls, applied: Applied) -> Self:
        """Return the body of ``applied``."""
        plan = FleetPlanBody.of(applied.difference)
        return cls(
            changes=plan.changes,
            unchanged=plan.unchanged,
            notes=list(applied.notes),
            left=list(applied.left),
        )


class FleetExportBody(Answer):
    """A fleet file that declares what is declared now."""

    format: DocumentForm = said("How it is written.", "toml")
    text: str = said("The file. Secrets are not in it.", _FILE)


class FleetStandingBody(Answer):
    """How the fleet file stands that is followed."""

    source: str = said("Where it is.", "/etc/reconciler/fleet.toml")
    version: str | None = said(
        "What was applied last: a commit, or a part of its SHA-256; null: nothing yet.", SHA
    )
    applied_at: datetime | None = said("When it was applied.", AT)
    problems: list[str] = said(
        "Why the newest one is not applied; nothing was changed then.",
        ["projects.shop.kind: 'kompose' is not one of compose, image"],
    )
    since: datetime | None = said("Since when it stands so.", AT)

    @classmethod
    def of(cls, standing: FleetStanding | None) -> Self | None:
        """Return the body of ``standing``."""
        if standing is None:
            return None
        return cls(
            source=standing.where,
            version=standing.version or None,
            applied_at=standing.applied_at,
            problems=list(standing.problems),
            since=standing.since,
        )
