"""What an operator writes to declare a target, and the rules it has to meet. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from reconciler.domain.argv import parse_argv
from reconciler.domain.environment import parse_environment
from reconciler.domain.errors import InvalidInput, Refused
from reconciler.domain.folder import parse_folder, parse_image_folder
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
from reconciler.domain.workload import declaration_of as declaration_of_workload
from reconciler.domain.workload import parse_image_name
from reconciler.pipeline.declaring.cluster_targets import ClusterDraft, with_workloads

_MOST_PATHS = 100
_UNITS = frozenset({TargetStrategy.SYSTEMD, TargetStrategy.SYSTEMD_REMOTE})
_COMPOSE = frozenset({TargetStrategy.COMPOSE})
_KUBERNETES = frozenset({TargetStrategy.KUBERNETES})
#: Kind of project → the strategies of its targets, the usual one first.
_STRATEGIES: Mapping[ProjectKind, tuple[TargetStrategy, ...]] = {
    ProjectKind.COMPOSE: (TargetStrategy.COMPOSE,),
    ProjectKind.IMAGE: (TargetStrategy.COMPOSE, TargetStrategy.KUBERNETES),
    ProjectKind.UNIT: (TargetStrategy.SYSTEMD, TargetStrategy.SYSTEMD_REMOTE),
}
#: Field → strategies that it belongs to; the fields that are not here belong to all.
_BELONGS_TO: Mapping[str, frozenset[TargetStrategy]] = {
    **dict.fromkeys(("source_folder", "build", "binary", "files", "user"), _UNITS),
    **dict.fromkeys(("compose_files", "base"), _COMPOSE),
    **dict.fromkeys(("namespace", "workloads"), _KUBERNETES),
    **dict.fromkeys(("image", "image_folder"), frozenset({TargetStrategy.SYSTEMD})),
    **dict.fromkeys(("folder", "environment", "confirm_within_seconds"), _UNITS | _COMPOSE),
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
    ready: Mapping[str, object] | None = None  #: as ``parse_health_check`` takes it
    ready_path: str | None = None  #: with ``port``, short for a ``ready`` over HTTP
    namespace: str | None = None
    workloads: Sequence[Mapping[str, object]] = ()  #: as ``parse_workloads`` takes them
    image: str | None = None
    image_folder: str | None = None
    base: str | None = None


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
        ready=declaration_of(target.ready) if target.ready else None,
        namespace=target.namespace or None,
        workloads=tuple(map(declaration_of_workload, target.workloads)),
        image=target.image or None,
        image_folder=target.image_folder or None,
        base=target.base or None,
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
        target = _with_unit(target, draft, project, problems)
    if strategy in _KUBERNETES:
        short = draft.health_path is not None or draft.ready_path is not None
        in_cluster = ClusterDraft(draft.namespace, draft.workloads, draft.port, short)
        target = with_workloads(target, in_cluster, project, problems)
    if problems.found:
        raise problems.error()
    return target


def strategies_of(kind: ProjectKind) -> tuple[TargetStrategy, ...]:
    """Return those that suit a kind of project, the usual one first."""
    return _STRATEGIES.get(kind, ())


def belongs_to(field: str, strategy: TargetStrategy) -> bool:
    """Tell whether a target of ``strategy`` may have ``field``."""
    return field not in _BELONGS_TO or strategy in _BELONGS_TO[field]


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
    if target.strategy is TargetStrategy.SYSTEMD_REMOTE and project.promoted_from is not None:
        problem = "builds on the host, and what another environment verified is never built again"
        yield InvalidInput("strategy", str(target.strategy), f"{problem}; use systemd")
    if draft.compose_files and project.kind is ProjectKind.IMAGE:
        problem = "do not belong in a target of an image project; leave them out"
        yield InvalidInput("compose_files", None, problem)
    if draft.base and project.kind is ProjectKind.IMAGE:
        problem = "does not belong in a target of an image project; leave it out"
        yield InvalidInput("base", draft.base, problem)
    if draft.folder and _is_in_our_work_tree(target):
        problem = f"does not belong in a compose target on {LOCAL}: its work tree is the daemon's"
        yield InvalidInput("folder", draft.folder, problem)
    short = draft.health_path is not None or draft.ready_path is not None
    if draft.port is not None and target.strategy in _COMPOSE and not short:
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
    base = draft.base
    usual = HostPath("") if _is_in_our_work_tree(target) else default_folder(project.name)
    parsed_port = problems.collect(lambda: parse_port(port)) if port is not None else None
    return replace(
        target,
        folder=(problems.collect(lambda: parse_folder(folder)) if folder else None) or usual,
        port=parsed_port if target.strategy in _UNITS else None,
        environment=problems.collect(lambda: parse_environment(draft.environment, project.name))
        or {},
        compose_files=_paths(draft.compose_files, "compose_files", problems),
        base=(problems.collect(lambda: parse_folder(base, "base")) if base else None)
        or HostPath(""),
        health=_Check("health", draft.health, draft.health_path).parse(draft, project, problems),
        ready=_Check("ready", draft.ready, draft.ready_path).parse(draft, project, problems),
        confirm_within=problems.collect(
            lambda: parse_seconds(confirm_within, "confirm_within_seconds", 10, 3600)
        )
        if confirm_within is not None
        else None,
    )


def _with_unit(target: Target, draft: TargetDraft, project: Project, problems: Problems) -> Target:
    if not draft.binary:
        problems.found.append(InvalidInput("binary", None, "is missing: it is what the unit runs"))
    if draft.port is not None and "PORT" in draft.environment:
        problem = "is what the unit gets for `port`; give one of them"
        problems.found.append(InvalidInput("environment.PORT", None, problem))
    source, build, user = draft.source_folder, draft.build, draft.user
    target = _with_image(target, draft, project, problems)
    return replace(
        target,
        source_folder=_path(None if source in {".", "./"} else source, "source_folder", problems),
        build=(problems.collect(lambda: parse_argv(build, "build")) if build else None) or (),
        binary=_path(draft.binary, "binary", problems),
        files=_paths(draft.files, "files", problems),
        user=(problems.collect(lambda: parse_user(user)) if user else None) or "",
    )


def _with_image(target: Target, draft: TargetDraft, project: Project, problems: Problems) -> Target:
    """Return the target with the image that its releases are made of, where it is declared."""
    image, folder = draft.image, draft.image_folder
    if image is None:
        if folder is not None:
            problem = "needs `image`, the one that it is in"
            problems.found.append(InvalidInput("image_folder", folder, problem))
        return target
    if project.promoted_from is None:
        problem = "is what the environment before hands on, and there is none; leave it out"
        problems.found.append(InvalidInput("image", image, problem))
    if draft.build:
        problem = "and `image` exclude each other: what another environment verified is not built"
        problems.found.append(InvalidInput("build", None, problem))
    return replace(
        target,
        image=problems.collect(lambda: parse_image_name(image, "image")) or "",
        image_folder=problems.collect(lambda: parse_image_folder(folder or "/app"))
        or HostPath("/app"),
    )


@dataclass(frozen=True, slots=True)
class _Check:
    """A check as it was asked for, in full or short."""

    name: str
    declared: Mapping[str, object] | None
    path: str | None

    def parse(self, draft: TargetDraft, project: Project, problems: Problems) -> HealthCheck | None:
        """Return the check; the target's own port is meant unless it names another."""
        if self.path is not None and self.declared is not None:
            problem = f"and `{self.name}` exclude each other: one is short for the other"
            problems.found.append(InvalidInput(f"{self.name}_path", self.path, problem))
            return None
        if self.path is not None:
            return self._parse_short(self.path, draft, problems)
        if self.declared is None:
            return None
        declared, is_command = self.declared, self.declared.get("kind") == ProbeKind.COMMAND
        if draft.port is not None and not is_command:
            declared = {"port": draft.port, **declared}
        return self._parse_full(declared, project, problems)

    def _parse_short(self, path: str, draft: TargetDraft, problems: Problems) -> HealthCheck | None:
        name, port = f"{self.name}_path", draft.port
        if port is None:
            problems.found.append(InvalidInput("port", None, f"is missing: {name} needs it"))
        parsed = problems.collect(lambda: parse_path(path, name))
        return HealthCheck(ProbeKind.HTTP, port=port, path=parsed) if parsed else None

    def _parse_full(
        self, declared: Mapping[str, object], project: Project, problems: Problems
    ) -> HealthCheck | None:
        check = problems.collect(lambda: parse_health_check(declared, self.name))
        if check and "{commit}" in check.text and not _has_commits(project):
            problem = "names the commit, and an image project has none"
            problems.found.append(InvalidInput(f"{self.name}.text", check.text, problem))
        return check


def _has_commits(project: Project) -> bool:
    """Tell whether what it runs is of a commit: its own, or the environment's before."""
    return project.followed_branch is not None or project.promoted_from is not None


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
