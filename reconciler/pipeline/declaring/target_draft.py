"""What an operator writes to declare a target, and the rules it has to meet. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from reconciler.domain.argv import parse_argv
from reconciler.domain.environment import parse_environment
from reconciler.domain.errors import InvalidInput, Refused
from reconciler.domain.folder import parse_folder
from reconciler.domain.health_check import (
    HealthCheck,
    ProbeKind,
    declaration_of,
    parse_health_check,
    parse_path,
)
from reconciler.domain.host import LOCAL, HostName, HostPath, parse_host_name, parse_user
from reconciler.domain.numbers import parse_port, parse_seconds, seconds_of, shown
from reconciler.domain.problems import Problems
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import RepositoryPath, parse_repository_path
from reconciler.domain.target import Target, TargetStrategy, default_folder

_MOST_PATHS = 100
_UNITS = frozenset({TargetStrategy.SYSTEMD, TargetStrategy.SYSTEMD_REMOTE})
_COMPOSE = frozenset({TargetStrategy.COMPOSE})
#: Kind of project → the strategies of its targets, the usual one first.
_STRATEGIES: Mapping[ProjectKind, tuple[TargetStrategy, ...]] = {
    ProjectKind.COMPOSE: (TargetStrategy.COMPOSE,),
    ProjectKind.IMAGE: (TargetStrategy.COMPOSE,),
    ProjectKind.UNIT: (TargetStrategy.SYSTEMD, TargetStrategy.SYSTEMD_REMOTE),
}
#: Field → strategies that it belongs to; the fields that are not here belong to all.
_BELONGS_TO: Mapping[str, frozenset[TargetStrategy]] = {
    **dict.fromkeys(("source_folder", "build", "binary", "files", "user"), _UNITS),
    "compose_files": _COMPOSE,
}


@dataclass(frozen=True, slots=True)
class TargetDraft:
    """A target as it was asked for: what nobody has checked yet. None and empty: left out."""

    host: str = LOCAL
    strategy: str | None = None
    folder: str | None = None
    source_folder: str | None = None
    build: tuple[str, ...] | str = ()  #: a list, or one line with a shell's quoting
    binary: str | None = None
    files: tuple[str, ...] = ()
    user: str | None = None
    port: int | None = None
    health_path: str | None = None  #: with ``port``, short for a ``health`` over HTTP
    environment: Mapping[str, str] = field(default_factory=dict)
    compose_files: tuple[str, ...] = ()
    health: Mapping[str, object] | None = None  #: as ``parse_health_check`` takes it
    confirm_within_seconds: float | None = None
    branch: str | None = None  #: the project's, where it is said at all


def draft_of(target: Target) -> TargetDraft:
    """Return the draft that ``parse_target`` makes ``target`` of."""
    confirm_within = target.confirm_within
    return TargetDraft(
        host=target.host,
        strategy=target.strategy,
        folder=target.folder or None,
        source_folder=target.source_folder,
        build=target.build,
        binary=target.binary,
        files=target.files,
        user=target.user or None,
        port=target.port,
        environment=target.environment,
        compose_files=target.compose_files,
        health=declaration_of(target.health) if target.health else None,
        confirm_within_seconds=seconds_of(confirm_within) if confirm_within else None,
    )


def parse_target(draft: TargetDraft, project: Project) -> Target:
    """Return the target of ``project`` that ``draft`` declares.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
        Refused: the project has nothing to deploy.
    """
    if not project.kind.deployable:
        text = f"a {project.kind} project has nothing to deploy, so it has no targets"
        raise Refused(ReasonCode.NOTHING_TO_DEPLOY, text)
    problems = Problems()
    host = problems.collect(lambda: parse_host_name(draft.host)) or HostName("unnamed")
    strategy = problems.collect(lambda: _parse_strategy(draft.strategy, project.kind))
    if strategy is None:
        raise problems.error()
    target = Target(project.name, host, strategy)
    problems.found.extend(_misplaced(draft, target, project))
    target = _with_common(target, draft, project, problems)
    if strategy in _UNITS:
        target = _with_unit(target, draft, problems)
    if problems.found:
        raise problems.error()
    return target


def _parse_strategy(text: str | None, kind: ProjectKind) -> TargetStrategy:
    strategies = _STRATEGIES[kind]
    if text is None:
        return strategies[0]
    word = TargetStrategy.COMPOSE.value if text == "docker-compose" else text
    if word not in set(strategies):
        names = " or ".join(strategies)
        raise InvalidInput("strategy", text, f"does not suit a {kind} project: it takes {names}")
    return TargetStrategy(word)


def _misplaced(draft: TargetDraft, target: Target, project: Project) -> Iterator[InvalidInput]:
    """Name the fields that mean nothing for this target."""
    for name, strategies in _BELONGS_TO.items():
        value = getattr(draft, name)
        if value and target.strategy not in strategies:
            problem = f"does not belong in a target of strategy {target.strategy}; leave it out"
            yield InvalidInput(name, shown(value), problem)
    if draft.compose_files and project.kind is ProjectKind.IMAGE:
        problem = "do not belong in a target of an image project; leave them out"
        yield InvalidInput("compose_files", None, problem)
    if draft.folder and _is_in_our_work_tree(target):
        problem = f"does not belong in a compose target on {LOCAL}: its work tree is the daemon's"
        yield InvalidInput("folder", draft.folder, problem)
    if draft.port is not None and target.strategy in _COMPOSE and draft.health_path is None:
        problem = "does not belong in a compose target without health_path; leave it out"
        yield InvalidInput("port", draft.port, problem)
    if draft.confirm_within_seconds is not None and target.host == LOCAL:
        problem = f"does not belong in a target on {LOCAL}, which can't get out of reach"
        yield InvalidInput("confirm_within_seconds", draft.confirm_within_seconds, problem)
    if draft.branch is not None and draft.branch != str(project.followed_branch):
        yield InvalidInput("branch", draft.branch, _other_branch(project))


def _other_branch(project: Project) -> str:
    if project.followed_branch is None:
        return f"does not belong in a target of an {project.kind} project; leave it out"
    return (
        f"is not {project.followed_branch}, which {project.name} follows on all of its hosts; "
        "declare a second project for another branch"
    )


def _is_in_our_work_tree(target: Target) -> bool:
    return target.strategy in _COMPOSE and target.host == LOCAL


def _with_common(
    target: Target, draft: TargetDraft, project: Project, problems: Problems
) -> Target:
    folder, port, confirm_within = draft.folder, draft.port, draft.confirm_within_seconds
    usual = HostPath("") if _is_in_our_work_tree(target) else default_folder(project.name)
    parsed_port = problems.collect(lambda: parse_port(port)) if port is not None else None
    return replace(
        target,
        folder=(problems.collect(lambda: parse_folder(folder)) if folder else None) or usual,
        port=parsed_port if target.strategy in _UNITS else None,
        environment=problems.collect(lambda: parse_environment(draft.environment, project.name))
        or {},
        compose_files=_paths(draft.compose_files, "compose_files", problems),
        health=_parse_health(draft, parsed_port, project, problems),
        confirm_within=problems.collect(
            lambda: parse_seconds(confirm_within, "confirm_within_seconds", 10, 3600)
        )
        if confirm_within is not None
        else None,
    )


def _with_unit(target: Target, draft: TargetDraft, problems: Problems) -> Target:
    if not draft.binary:
        problems.found.append(InvalidInput("binary", None, "is missing: it is what the unit runs"))
    if draft.port is not None and "PORT" in draft.environment:
        problem = "is what the unit gets for `port`; give one of them"
        problems.found.append(InvalidInput("environment.PORT", None, problem))
    source, build, user = draft.source_folder, draft.build, draft.user
    return replace(
        target,
        source_folder=_path(None if source in {".", "./"} else source, "source_folder", problems),
        build=(problems.collect(lambda: parse_argv(build, "build")) if build else None) or (),
        binary=_path(draft.binary, "binary", problems),
        files=_paths(draft.files, "files", problems),
        user=(problems.collect(lambda: parse_user(user)) if user else None) or "",
    )


def _parse_health(
    draft: TargetDraft, port: int | None, project: Project, problems: Problems
) -> HealthCheck | None:
    """Return the health check, written in full or short; ``port`` is the target's own."""
    path, declared = draft.health_path, draft.health
    if path is not None and declared is not None:
        problem = "and `health` exclude each other: one is short for the other"
        problems.found.append(InvalidInput("health_path", path, problem))
        return None
    if path is not None:
        if draft.port is None:
            problems.found.append(InvalidInput("port", None, "is missing: health_path needs it"))
        parsed = problems.collect(lambda: parse_path(path, "health_path"))
        return HealthCheck(ProbeKind.HTTP, port=port, path=parsed) if parsed else None
    if declared is None:
        return None
    if port is not None and declared.get("kind") != ProbeKind.COMMAND:
        declared = {"port": port, **declared}
    return _parse_full_health(declared, project, problems)


def _parse_full_health(
    declared: Mapping[str, object], project: Project, problems: Problems
) -> HealthCheck | None:
    check = problems.collect(lambda: parse_health_check(declared))
    if check and "{commit}" in check.text and project.followed_branch is None:
        problem = "names the commit, and an image project has none"
        problems.found.append(InvalidInput("health.text", check.text, problem))
    return check


def _path(text: str | None, name: str, problems: Problems) -> RepositoryPath | None:
    return problems.collect(lambda: parse_repository_path(text, name)) if text else None


def _paths(texts: tuple[str, ...], name: str, problems: Problems) -> tuple[RepositoryPath, ...]:
    if len(texts) > _MOST_PATHS:
        problem = f"entries are more than {_MOST_PATHS}"
        problems.found.append(InvalidInput(name, len(texts), problem))
        return ()
    found = [
        problems.collect(partial(parse_repository_path, text, f"{name}.{at}"))
        for at, text in enumerate(texts)
    ]
    return tuple(path for path in found if path)
