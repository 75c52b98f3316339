"""A project as the commands that declare the same."""

import shlex
from collections.abc import Sequence

from reconciler.domain.host import LOCAL
from reconciler.domain.project import USUAL_COMPOSE_PATH, ExternalSource, HostedSource, Project
from reconciler.domain.target import Target
from reconciler.ports import SecretRecord


def commands_of(project: Project, secrets: Sequence[SecretRecord]) -> list[str]:
    """Return the lines that say the same as what is declared so far; no secret is among them."""
    options = [*_source(project), *_runs(project)]
    lines = [f"reconciler project add {project.name}", *(f"    {one}" for one in options)]
    commands = _continued(lines)
    commands += [f"reconciler secret set {project.name} {one.name}" for one in secrets]
    for target in project.targets:
        if target.host != LOCAL or target.health:
            commands += _target(target)
    return commands


def _source(project: Project) -> list[str]:
    match project.source:
        case ExternalSource(url, branch):
            return [_option("url", str(url)), _option("branch", str(branch))]
        case HostedSource(repository, branch):
            return [_option("repo", repository), _option("branch", str(branch))]
        case None:
            return ["--kind image", _option("image", str(project.image))]


def _runs(project: Project) -> list[str]:
    found = [_option("port", one) for one in project.container.ports]
    found += [_option("volume", one) for one in project.container.volumes]
    if project.compose_path != USUAL_COMPOSE_PATH:
        found.append(_option("compose-path", project.compose_path))
    found += [_option("stateful", one) for one in project.stateful_services]
    if project.expose_service:
        found.append(_option("expose-service", project.expose_service))
    if project.expose_port:
        found.append(_option("expose-port", str(project.expose_port)))
    return found


def _target(target: Target) -> list[str]:
    verb = "set" if target.host == LOCAL else "add"
    lines = [f"reconciler target {verb} {target.project} {target.host}"]
    if target.health and target.health.port:
        lines.append(f"    {_option('port', str(target.health.port))}")
        lines.append(f"    {_option('health-path', target.health.path)}")
    return _continued(lines)


def _option(name: str, value: str) -> str:
    return f"--{name} {shlex.quote(value)}"


def _continued(lines: list[str]) -> list[str]:
    """Return the lines of one command as a shell takes them."""
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]
