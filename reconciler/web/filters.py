"""What lists are narrowed down by."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime

from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import HostName, parse_host_name
from reconciler.domain.project import ProjectKind
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.ports import DeploymentFilter
from reconciler.web.principal import Seen
from reconciler.web.schemas.body import AT

_Host = Annotated[str | None, Query(description="Only those on this host.", examples=["web1"])]


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """Which projects are wanted; what is not said makes no difference."""

    states: frozenset[StandingCode]
    kind: ProjectKind | None
    host: HostName | None
    part: str  #: of the name

    def takes(self, summary: ProjectSummary) -> bool:
        """Tell whether it is one of them."""
        project = summary.project
        return (
            (not self.states or summary.standing in self.states)
            and self.kind in {None, project.kind}
            and (self.host is None or any(one.host == self.host for one in project.where))
            and self.part in project.name
        )


async def _wanted_projects(
    state: Annotated[
        list[StandingCode] | None,
        Query(description="Only those that stand so.", examples=[["failed"]]),
    ] = None,
    kind: Annotated[
        ProjectKind | None, Query(description="Only of this kind.", examples=["compose"])
    ] = None,
    host: _Host = None,
    q: Annotated[str, Query(description="Only with this in their name.", examples=["shop"])] = "",
) -> ProjectFilter:
    return ProjectFilter(frozenset(state or ()), kind, _host(host), q)


async def _wanted_deployments(
    seen: Seen,
    trigger: Annotated[
        Trigger | None, Query(description="Only those that it asked for.", examples=["push"])
    ] = None,
    host: _Host = None,
    since: Annotated[
        AwareDatetime | None, Query(description="Only asked for then or later.", examples=[AT])
    ] = None,
    until: Annotated[
        AwareDatetime | None, Query(description="Only asked for before.", examples=[AT])
    ] = None,
) -> DeploymentFilter:
    begin, end = _utc(since, "since"), _utc(until, "until")
    return DeploymentFilter(trigger, _host(host), begin, end, seen.projects)


#: The projects that a query asks for.
Wanted = Annotated[ProjectFilter, Depends(_wanted_projects)]
#: The deployments that a query asks for, of those that whoever asks gets to see.
OnlyDeployments = Annotated[DeploymentFilter, Depends(_wanted_deployments)]


def _host(text: str | None) -> HostName | None:
    return None if text is None else parse_host_name(text)


def _utc(given: datetime | None, field: str) -> datetime | None:
    if given is None:
        return None
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(field, given.isoformat(), "is beyond all calendars") from None
