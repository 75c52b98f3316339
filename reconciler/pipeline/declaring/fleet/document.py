"""What a fleet file says, checked as far as that goes without looking at anything else. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from reconciler.domain.errors import InvalidInput, Refused, SeveralInvalid
from reconciler.domain.host import Host, HostName
from reconciler.domain.numbers import shown
from reconciler.domain.problems import Problems
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.settings import SETTINGS
from reconciler.domain.target import Target
from reconciler.pipeline.declaring.fleet.entries import (
    HOST_FIELDS,
    PROJECT_FIELDS,
    TARGET_FIELDS,
    Values,
    at,
    read_fields,
    read_table,
    secret_remedy,
    unknown_keys,
)
from reconciler.pipeline.declaring.fleet.templates import with_inherited
from reconciler.pipeline.declaring.handed_down import upstream_first, with_defaults
from reconciler.pipeline.declaring.host_draft import HostDraft, parse_host
from reconciler.pipeline.declaring.project_draft import ProjectDraft, parse_draft
from reconciler.pipeline.declaring.projects import refuse_needless_toggle
from reconciler.pipeline.declaring.settings import parse_settings
from reconciler.pipeline.declaring.target_draft import TargetDraft, parse_target

_SECTIONS = ("settings", "hosts", "templates", "projects")
#: More than these help nobody.
_MOST_PROBLEMS = 100
#: Scheme and login of a URL. In SSH URLs a user alone is how they are written.
_LOGIN = re.compile(r"(?i)(https?)?://([^/@\s]*)@")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class DeclaredProject:
    """A project as the file has it."""

    project: Project  #: new, and without targets
    targets: tuple[Target, ...] | None  #: None: the file says nothing of them


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that one file says; None for a section that it does not have."""

    settings: Mapping[str, bool | int]
    hosts: Mapping[HostName, Host] | None
    projects: Mapping[ProjectName, DeclaredProject] | None


def parse_fleet(document: Mapping[str, object], now: datetime) -> Fleet:
    """Return what ``document`` declares, all that is new in it new at ``now``.

    Raises:
        InvalidInput: something is wrong with it. ``SeveralInvalid``: more is.
    """
    # First and alone: the messages about anything else show values.
    raise_all(list(_find_secrets(document)))
    problems = Problems()
    problems.found.extend(unknown_keys(document, _SECTIONS, ""))
    tables = {name: read_table(document.get(name), name, problems) for name in _SECTIONS}
    problems.found.extend(unknown_keys(tables["settings"], SETTINGS, "settings"))
    values = {key: shown(value) for key, value in tables["settings"].items() if key in SETTINGS}
    settings = problems.collect(lambda: parse_settings(values), "settings")
    hosts = _parse_hosts(tables["hosts"], now, problems)
    projects = _parse_projects(tables, now, problems)
    raise_all(problems.found)
    return Fleet(
        settings or {},
        hosts if "hosts" in document else None,
        projects if "projects" in document else None,
    )


def raise_all(found: Sequence[InvalidInput]) -> None:
    """Raise one error for all that was found, if anything was."""
    if len(found) == 1:
        raise found[0]
    if len(found) > _MOST_PROBLEMS:
        more = InvalidInput("file", None, f"has {len(found) - _MOST_PROBLEMS} more problems")
        raise SeveralInvalid((*found[:_MOST_PROBLEMS], more))
    if found:
        raise SeveralInvalid(found)


def _find_secrets(document: Mapping[str, object]) -> Iterator[InvalidInput]:
    """Name each value that holds a secret; those of environments are looked at by their own."""
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, str) and _is_secret(node):
            yield InvalidInput(path, None, secret_remedy(path))
        elif isinstance(node, dict) and not path.endswith(".environment"):
            waiting.extend(reversed([(at(path, key), value) for key, value in node.items()]))
        elif isinstance(node, list):
            waiting.extend(reversed([(f"{path}.{n}", value) for n, value in enumerate(node)]))


def _is_secret(text: str) -> bool:
    """Tell whether ``text`` has a password or token in a URL, or is a private key."""
    logins = _LOGIN.finditer(text)
    return any(found[1] or ":" in found[2] for found in logins) or bool(_PRIVATE_KEY.search(text))


def _parse_hosts(
    tables: Mapping[str, object], now: datetime, problems: Problems
) -> Mapping[HostName, Host]:
    found: dict[HostName, Host] = {}
    for name, given in tables.items():
        path = at("hosts", name)
        before = len(problems.found)
        values = _known(read_fields(read_table(given, path, problems), HOST_FIELDS, path, problems))
        if len(problems.found) > before:
            continue
        host = problems.collect(partial(parse_host, HostDraft(name, **values), now), path)
        if host is not None:
            found[host.name] = host
    return found


def _parse_projects(
    tables: Mapping[str, Mapping[str, object]], now: datetime, problems: Problems
) -> Mapping[ProjectName, DeclaredProject]:
    templates = _read_projects(tables["templates"], "templates", problems)
    entries = _read_projects(tables["projects"], "projects", problems)
    for name, template in templates.items():
        problems.collect(partial(with_inherited, template, templates, at("templates", name)))
    found: dict[ProjectName, DeclaredProject] = {}
    if len(templates) < len(tables["templates"]):
        return found  # what extends a broken one would be blamed for it
    merged = {
        name: problems.collect(partial(with_inherited, entry, templates, at("projects", name)))
        for name, entry in entries.items()
    }
    complete = {name: values for name, values in merged.items() if values is not None}
    before = {name: _environment_before(values) for name, values in complete.items()}
    for name in upstream_first(complete, before.get):
        upstream = found.get(ProjectName(before[name]))
        declared = _parse_project(name, complete[name], now, upstream, problems)
        if declared is not None:
            found[declared.project.name] = declared
    return found


def _environment_before(values: Values) -> str:
    """Return the project that one is promoted from, as the file has it; empty: from none."""
    environment = values.get("environment")
    named = environment.get("promoted_from") if isinstance(environment, dict) else None
    return named if isinstance(named, str) else ""


def _read_projects(
    tables: Mapping[str, object], section: str, problems: Problems
) -> Mapping[str, Values]:
    """Return name → fields of those with nothing wrong; ``targets`` is host → fields."""
    found: dict[str, Values] = {}
    for name, given in tables.items():
        path, before = at(section, name), len(problems.found)
        values = read_fields(read_table(given, path, problems), PROJECT_FIELDS, path, problems)
        if values.get("targets") is not None:
            values["targets"] = _read_targets(values["targets"], f"{path}.targets", problems)
        if len(problems.found) == before:
            found[name] = values
    return found


def _read_targets(table: object, path: str, problems: Problems) -> Mapping[str, Values]:
    found: dict[str, Values] = {}
    for host, given in read_table(table, path, problems).items():
        below = at(path, host)
        fields = read_table(given, below, problems)
        found[host] = read_fields(fields, TARGET_FIELDS, below, problems)
    return found


def _parse_project(
    name: str, values: Values, now: datetime, upstream: DeclaredProject | None, problems: Problems
) -> DeclaredProject | None:
    path, targets = at("projects", name), values.pop("targets", None)
    draft = ProjectDraft(name, **_known(values))
    if upstream is not None:
        draft, _ = with_defaults(draft, upstream.project)
    project = problems.collect(partial(parse_draft, draft, now), path)
    if project is None:
        return None
    problems.collect(partial(_check_toggle, project), path)
    if not isinstance(targets, dict):
        return DeclaredProject(project, None)
    parsed = [
        problems.collect(partial(_parse_target, host, target, project), at(f"{path}.targets", host))
        for host, target in targets.items()
    ]
    found = tuple(one for one in parsed if one is not None)
    _refuse_twins(found, path, problems)
    return DeclaredProject(project, found)


def _parse_target(host: str, values: Values, project: Project) -> Target:
    try:
        return parse_target(TargetDraft(host, **_known(values)), project)
    except Refused as refused:
        raise InvalidInput("host", host, f"can't be a target: {refused.message}") from None


def _check_toggle(project: Project) -> None:
    try:
        refuse_needless_toggle(project)
    except Refused as refused:
        raise InvalidInput("auto_deploy", True, f"is refused: {refused.message}") from None


def _refuse_twins(targets: Sequence[Target], path: str, problems: Problems) -> None:
    """Refuse one host under two names: ``localhost`` is ``local``."""
    hosts = [target.host for target in targets]
    for host in {host for host in hosts if hosts.count(host) > 1}:
        problem = "is there twice, once by another name"
        problems.found.append(InvalidInput(f"{path}.targets.{host}", None, problem))


def _known(values: Values) -> dict[str, Any]:
    """Return the fields that have a value, of the types that drafts take."""
    return {name: value for name, value in values.items() if value is not None}
