"""Bodies of the daemon itself: status, settings, tokens, repositories."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from reconciler.domain.gate import MasterSwitch
from reconciler.domain.settings import LONGEST_SECONDS, SETTINGS, Setting
from reconciler.ports import SettingRecord
from reconciler.web.schemas.body import AT, SHA, Answer, Asked, next_page, said
from reconciler.web.schemas.clusters import ClusterBody
from reconciler.web.schemas.fleet import FleetStandingBody
from reconciler.web.schemas.hosts import HostBody
from reconciler.web.schemas.project_summary import SummaryBody


def _schema_of(setting: Setting) -> JsonDict:
    if isinstance(setting.default, bool):
        return {"type": "boolean", "description": setting.meaning, "examples": [setting.default]}
    return {
        "type": "integer",
        "description": f"seconds {setting.meaning}",
        "minimum": setting.minimum,
        "maximum": LONGEST_SECONDS,
        "examples": [setting.default],
    }


class RepositoryBody(Answer):
    """A repository that this daemon keeps."""

    name: str = said("Its name.", "shop")
    url_path: str = said(
        "Path below the daemon's address, for `git clone` and `git push`.", "/git/shop.git"
    )
    branches: dict[str, str] = said("Branch → the commit at its tip.", {"main": SHA})


class RepositoryList(Answer):
    """By name."""

    items: list[RepositoryBody] = said("The repositories.", [])
    next: str | None = next_page()


class NewRepository(Asked):
    """A repository to make."""

    name: str = said("1 to 63 of a-z, 0-9 and '-'.", "shop")


class SettingBody(Answer):
    """One live setting."""

    key: str = said("Its key.", "auto_deploy_poll_interval_seconds")
    value: bool | int = said("Its value now.", 60)
    default: bool | int = said("Its value where nobody changed it.", 60)
    minimum: int | None = said("The least that is allowed; null for a switch.", 10)
    meaning: str = said("What it does.", "between two looks at an external repository")
    changed_by: str | None = said("Who changed it last.", "local:1000")
    changed_at: datetime | None = said("When.", AT)
    reason: str | None = said("Why.", "incident 12")

    @classmethod
    def of(cls, record: SettingRecord) -> Self:
        """Return the body of ``record``."""
        setting = SETTINGS[record.key]
        return cls(
            key=record.key,
            value=record.value,
            default=setting.default,
            minimum=setting.minimum,
            meaning=setting.meaning,
            changed_by=record.changed_by or None,
            changed_at=record.changed_at,
            reason=record.reason or None,
        )


class SettingsPatch(BaseModel):
    """Settings to change, all or none, and why."""

    # Keys and values are checked by the settings' own rules, so that all is said at once.
    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "additionalProperties": False,
            "properties": {
                "reason": {
                    "type": "string",
                    "maxLength": 500,
                    "default": "",
                    "examples": ["incident 12"],
                },
                **{setting.key: _schema_of(setting) for setting in SETTINGS.values()},
            },
        },
    )

    reason: str = said("For the record.", "incident 12", default="")

    def values(self) -> dict[str, object]:
        """Return what is to be changed."""
        return dict(self.model_extra or {})


class SettingList(Answer):
    """All of them."""

    items: list[SettingBody] = said("The settings.", [])


class LoopBody(Answer):
    """One of the daemon's loops."""

    name: str = said("Which.", "git-poll")
    last_progress_at: datetime | None = said("When it last got anywhere.", AT)
    late_seconds: float = said("How long past its time it is.", 0.0)
    ok: bool = said("Whether it gets on.", True)


class VersionBody(Answer):
    """What runs here."""

    version: str = said("The version.", "0.1.0")
    commit: str | None = said("The commit that it was built of, where that is known.", SHA)
    started_at: datetime = said("When it was started.", AT)


class ReadyBody(Answer):
    """Whether it takes requests."""

    status: str = said("ready, starting or draining.", "ready")


class HealthBody(Answer):
    """Whether it does its work."""

    status: str = said("ok, failing or draining.", "ok")
    version: str = said("The version that runs.", "0.1.0")
    commit: str | None = said("The commit that it was built of, where that is known.", SHA)
    loops: list[LoopBody] = said("Its loops.", [])
    problems: list[str] = said("What is wrong.", ["git-poll has made no progress for 95 s"])
    warnings: list[str] = said(
        "What wants a person though the daemon does its work.",
        ["the fleet file is not applied; status says why"],
    )


class SwitchBody(Answer):
    """Whether anything deploys by itself."""

    enabled: bool = said("The master switch.", True)
    changed_by: str | None = said("Who changed it last.", "local:1000")
    changed_at: datetime | None = said("When.", AT)
    reason: str | None = said("Why.", "incident 12")
    emergency_file: str | None = said(
        "The file that stops everything; null where it is not there.", None
    )

    @classmethod
    def of(cls, switch: MasterSwitch) -> Self:
        """Return the body of ``switch``."""
        return cls(
            enabled=switch.enabled,
            changed_by=switch.changed_by or None,
            changed_at=switch.changed_at,
            reason=switch.reason or None,
            emergency_file=switch.emergency_file or None,
        )


class EngineBody(Answer):
    """The container engine."""

    ok: bool = said("Whether it answers.", True)
    version: str | None = said("Its version.", "20.10.24")
    error: str | None = said("Why it does not answer.", None)


class RegistryBody(Answer):
    """A registry that images come from."""

    host: str = said("Host, with its port if it has one.", "registry.example:5000")
    reachable: bool | None = said("Whether it answered last; null before.", True)
    error: str | None = said("What it said instead.", None)
    cooling_until: datetime | None = said("It asked to be left alone until then.", None)
    limit_remaining: int | None = said("What it said is left of its limit.", 87)


class CountsBody(Answer):
    """How many projects stand where."""

    projects: int = said("All.", 12)
    in_sync: int = said("What should run runs.", 9)
    deploying: int = said("Under way or queued.", 1)
    held: int = said("Something moved, and may not start.", 1)
    failed: int = said("Failed, quarantined, or the branch is gone.", 1)
    unknown: int = said("On a host that can't be asked for minutes.", 0)
    drifted: int = said("What runs is not what was deployed.", 0)
    off: int = said("Auto-deploy is off, or there is nothing to deploy.", 0)


class NotificationsBody(Answer):
    """Whether anybody is told of failures."""

    channels: int = said("How many channels there are; with none, nobody is told.", 1)
    failing: list[str] = said("Those whose newest message was not sent.", [])


class StatusBody(Answer):
    """The daemon at a glance."""

    version: str = said("The version.", "0.1.0")
    commit: str | None = said("The commit that it was built of, where that is known.", SHA)
    started_at: datetime = said("When it was started.", AT)
    state: str = said("starting, ready or draining.", "ready")
    master_switch: SwitchBody = said("Whether anything deploys by itself.")
    engine: EngineBody = said("The container engine.")
    registries: list[RegistryBody] = said("The registries in use.", [])
    loops: list[LoopBody] = said("The daemon's loops.", [])
    hosts: list[HostBody] = said("The machines that are deployed to, beside this one.", [])
    clusters: list[ClusterBody] = said("The Kubernetes clusters that are deployed to.", [])
    fleet: FleetStandingBody | None = said(
        "How the fleet file stands that is followed; null where none is.", None
    )
    notifications: NotificationsBody | None = said("Whether anybody is told of failures.", None)
    counts: CountsBody = said("How many projects stand where.")
    projects: list[SummaryBody] = said("All projects.", [])
