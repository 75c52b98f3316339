"""A revision's way through environments: what one has verified, the next one may get.

An environment is a project of its own, with its own targets, variables and history. The first one
follows its source; each other one is ``promoted_from`` the one before it, and gets nothing but
what was verified there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from reconciler.domain.deployment import Built, DeploymentId, Pin, PreparedRevision, Release
from reconciler.domain.errors import InvalidInput
from reconciler.domain.numbers import parse_seconds, seconds_of, shown
from reconciler.domain.problems import Problems, unknown_fields
from reconciler.domain.references import Digest, ProjectName, parse_project_name
from reconciler.domain.revision import Revision

EnvironmentName = NewType("EnvironmentName", str)
PromotionId = NewType("PromotionId", int)

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_FIELDS = ("name", "promoted_from", "soak_seconds")
_LONGEST_SOAK_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Environment:
    """Which environment of an app a project is, and where it gets its revisions from."""

    name: EnvironmentName
    promoted_from: ProjectName | None = None  #: None: it is the first one, and follows its source
    soak: timedelta = timedelta(0)  #: how long a revision has to stand there, verified, before


def parse_environment_name(text: object, field: str = "environment.name") -> EnvironmentName:
    """Return ``text`` as the name of an environment. Raises ``InvalidInput``."""
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        problem = "must be 1 to 32 of a-z, 0-9 and '-', starting with a letter, like 'production'"
        raise InvalidInput(field, shown(text), problem)
    return EnvironmentName(text)


def parse_environment(declared: Mapping[str, object], field: str = "environment") -> Environment:
    """Return the environment that ``declared`` describes; what is None counts as left out.

    Args:
        declared: ``name``; ``promoted_from``, a project; ``soak_seconds``.
        field: what problems are named after, e.g. ``environment.name``.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    given = {name: value for name, value in declared.items() if value is not None}
    problems.found.extend(unknown_fields(given, _FIELDS, field, "an environment"))
    name = problems.collect(lambda: parse_environment_name(given.get("name"), f"{field}.name"))
    before = problems.collect(
        lambda: _parse_before(given.get("promoted_from"), f"{field}.promoted_from")
    )
    soak = problems.collect(
        lambda: parse_seconds(
            given.get("soak_seconds", 0), f"{field}.soak_seconds", 0, _LONGEST_SOAK_SECONDS
        )
    )
    if soak and before is None and "promoted_from" not in given:
        problem = "belongs in an environment that is promoted from another; leave it out"
        problems.found.append(InvalidInput(f"{field}.soak_seconds", seconds_of(soak), problem))
    if problems.found or name is None or soak is None:
        raise problems.error()
    return Environment(name, before, soak)


def declaration_of(environment: Environment) -> dict[str, object]:
    """Return what ``parse_environment`` makes ``environment`` of, as JSON has it."""
    every: dict[str, object] = {
        "name": environment.name,
        "promoted_from": environment.promoted_from,
        "soak_seconds": seconds_of(environment.soak) if environment.soak else None,
    }
    return {name: value for name, value in every.items() if value is not None}


def _parse_before(value: object, field: str) -> ProjectName | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput(field, shown(value), "must be the name of a project")
    return parse_project_name(value, field)


def handed_on(prepared: PreparedRevision, generation: int = 1) -> Revision:
    """Return what the next environment gets of what was verified: its commit, and every digest.

    Beside the images that are followed stands each other one by its tag, and what was built, an
    image or a unit's release, by the name of its service: two builds of one commit are two
    revisions.

    Args:
        prepared: as it was verified, complete.
        generation: of the declaration that is to run it.
    """
    images: dict[str, Digest] = dict(prepared.revision.images)
    for target in prepared.targets:
        for service in target.services:
            match service.pin:
                case Pin(image, digest):
                    images.setdefault(str(image), digest)
                case Built(digest=digest) | Release(digest=digest):
                    images[service.name] = digest
    return Revision(prepared.revision.commit, images, generation)


class PromotionStatus(StrEnum):
    """Where a promotion stands. All but the first are final."""

    WAITING = "waiting"  #: for approvals, for a window, for somebody to switch something on
    PROMOTED = "promoted"  #: a deployment was admitted for it, or runs that revision already
    REJECTED = "rejected"  #: somebody said no; another revision asks anew
    EXPIRED = "expired"  #: nobody decided in time
    SUPERSEDED = "superseded"  #: a newer revision took its place


@dataclass(frozen=True, slots=True)
class Vote:
    """What one person said of a promotion."""

    person: str
    approves: bool
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Promotion:
    """One revision that is to go to one environment; approvals are of it, and of nothing else."""

    id: PromotionId
    project: ProjectName  #: the environment that it goes to
    origin: ProjectName  #: the one where it was verified
    deployment: DeploymentId  #: of ``origin``, which verified it
    revision: Revision  #: see ``handed_on``; of the generation of ``project`` that was asked about
    proposed_at: datetime
    expires_at: datetime
    asked_by: str = ""  #: who wanted it; empty: it followed by itself
    reason: str = ""
    override: str = ""  #: why it goes past soak, window and freeze; empty: it doesn't
    status: PromotionStatus = PromotionStatus.WAITING
    decided_at: datetime | None = None
    became: DeploymentId | None = None  #: the deployment that it was admitted as
    votes: tuple[Vote, ...] = ()  #: oldest first, one of each person

    @property
    def approvals(self) -> tuple[Vote, ...]:
        """The votes for it."""
        return tuple(vote for vote in self.votes if vote.approves)


@dataclass(frozen=True, slots=True)
class Standing:
    """A stretch of time in which a verified deployment was what ran, and well."""

    project: ProjectName
    deployment: DeploymentId
    since: datetime
    until: datetime | None = None  #: None: it stands
    ended_because: str = ""
