"""What a repository may say of its own deployment, where the operator lets it.

Whoever can push writes it. So it fills in what the operator left open and changes nothing that was
declared; it says nothing of hosts, users, folders, secrets, variables, ports or switches; and
nothing in it runs where the operator had nothing of that commit run, but for a build that is
confined, or one as a user of its own.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from reconciler.domain.argv import parse_argv
from reconciler.domain.errors import (
    InvalidInput,
    InvalidManifest,
    ManifestRefused,
    SeveralInvalid,
)
from reconciler.domain.health_check import HealthCheck, ProbeKind, parse_health_check
from reconciler.domain.migration import DEFAULT_TIMEOUT, Migration, parse_migration
from reconciler.domain.numbers import shown
from reconciler.domain.problems import Problems
from reconciler.domain.project import USUAL_COMPOSE_PATH, Project, ProjectKind
from reconciler.domain.references import RepositoryPath, parse_repository_path
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.version_check import VersionCheck, parse_version_check, require_port

MANIFEST_PATH = RepositoryPath(".reconciler.toml")
LIMIT_BYTES = 16 << 10
_LONGEST_START = timedelta(minutes=10)
_MOST_PATHS = 100
_COMMON = ("strategy", "health", "ready")
#: A target's user, who is root by each of these names.
_ROOT = frozenset({"", "root", "0"})
#: Kind of project → what its manifest may say.
_FIELDS: Mapping[ProjectKind, tuple[str, ...]] = {
    ProjectKind.COMPOSE: (*_COMMON, "compose_path", "compose_files", "migration", "version"),
    ProjectKind.UNIT: (*_COMMON, "source_folder", "build", "files"),
}

Parsed = TypeVar("Parsed")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one says; None and empty: nothing of it."""

    strategy: TargetStrategy | None = None
    #: As ``parse_health_check`` takes it, but for its port, which is the target's.
    health: Mapping[str, object] | None = None
    ready: Mapping[str, object] | None = None  #: likewise
    compose_path: RepositoryPath | None = None
    compose_files: tuple[RepositoryPath, ...] = ()
    migration: Migration | None = None
    version: VersionCheck | None = None
    source_folder: RepositoryPath | None = None
    build: tuple[str, ...] = ()
    files: tuple[RepositoryPath, ...] = ()


@dataclass(frozen=True, slots=True)
class Overlay:
    """A project as its manifest completes it."""

    project: Project
    added: tuple[str, ...] = ()  #: the fields that the manifest filled in
    overruled: tuple[str, ...] = ()  #: those of which the operator had said something else


def decode_manifest(content: bytes) -> str:
    """Return the text of a manifest. Raises ``InvalidManifest``: it is too large, or no text."""
    if len(content) > LIMIT_BYTES:
        size = f"{len(content)} bytes; at most {LIMIT_BYTES >> 10} KiB are read"
        raise InvalidManifest(f"{MANIFEST_PATH} has {size}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidManifest(f"{MANIFEST_PATH} is not UTF-8") from error


def parse_manifest(text: str, kind: ProjectKind) -> Manifest:
    """Return what ``text`` says of a project of ``kind``.

    Raises:
        InvalidManifest: it is not TOML, or something in it is not what it should be.
        ManifestRefused: it says what is not a manifest's to say.
    """
    given = _read(text)
    known = _FIELDS.get(kind, ())
    for name in given:
        if name not in known:
            raise _refusal(name, f"is the operator's to say; a manifest says {', '.join(known)}")
    problems = Problems()
    manifest = _Reading(given, problems).manifest()
    if problems.found:
        raise _invalid(problems.error())
    return manifest


def overlaid(project: Project, manifest: Manifest) -> Overlay:
    """Return ``project`` with what the operator left open filled in from ``manifest``.

    Raises:
        InvalidManifest: its health check is none.
        ManifestRefused: it would do more than the operator allowed.
    """
    filling = _Filling()
    targets = tuple(_target(target, project, manifest, filling) for target in project.where)
    path = None if project.compose_path == USUAL_COMPOSE_PATH else project.compose_path
    completed = replace(
        project,
        targets=targets,
        compose_path=filling.fill("compose_path", path, manifest.compose_path)
        or project.compose_path,
        migration=filling.fill("migration", project.migration, manifest.migration),
        version=filling.fill("version", project.version, manifest.version),
    )
    return Overlay(completed, tuple(filling.added), tuple(filling.overruled))


# ── Reading ───────────────────────────────────────────────────────────────────────────────────


def _read(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number may have too many digits, too
        said = str(error)[:200] or "it is nested too deeply"
        raise InvalidManifest(f"{MANIFEST_PATH} is not TOML: {said}") from error


@dataclass(frozen=True, slots=True)
class _Reading:
    given: Mapping[str, Any]
    problems: Problems

    def manifest(self) -> Manifest:
        take = self._take
        return Manifest(
            strategy=take("strategy", _parse_strategy),
            health=take("health", _parse_table),
            ready=take("ready", _parse_table),
            compose_path=take("compose_path", _parse_path),
            compose_files=take("compose_files", _parse_paths) or (),
            migration=take("migration", _parse_migration),
            version=take("version", _parse_version),
            source_folder=take("source_folder", _parse_path),
            build=take("build", parse_argv) or (),
            files=take("files", _parse_paths) or (),
        )

    def _take(self, name: str, parse: Callable[[object, str], Parsed]) -> Parsed | None:
        if name not in self.given:
            return None
        return self.problems.collect(lambda: parse(self.given[name], name))


def _parse_table(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidInput(field, shown(value), f"must be a table: [{field}]")
    return value


def _parse_path(value: object, field: str) -> RepositoryPath:
    if not isinstance(value, str):
        raise InvalidInput(field, shown(value), "must be a path inside the repository")
    return parse_repository_path(value, field)


def _parse_paths(value: object, field: str) -> tuple[RepositoryPath, ...]:
    if not isinstance(value, list) or len(value) > _MOST_PATHS:
        raise InvalidInput(field, shown(value), f"must be a list of at most {_MOST_PATHS} paths")
    return tuple(_parse_path(one, f"{field}.{at}") for at, one in enumerate(value))


def _parse_strategy(value: object, field: str) -> TargetStrategy:
    word = TargetStrategy.COMPOSE.value if value == "docker-compose" else value
    if not isinstance(word, str) or word not in set(TargetStrategy):
        raise InvalidInput(field, shown(value), f"is not one of {', '.join(TargetStrategy)}")
    return TargetStrategy(word)


def _parse_migration(value: object, field: str) -> Migration:
    migration = parse_migration(_parse_table(value, field), field)
    if migration.timeout > DEFAULT_TIMEOUT:
        most = f"{DEFAULT_TIMEOUT.total_seconds():g} s"
        raise _refusal(f"{field}.timeout_seconds", f"only an operator may declare more than {most}")
    return migration


def _parse_version(value: object, field: str) -> VersionCheck:
    return require_port(parse_version_check(_parse_table(value, field), field), field)


# ── Filling in ────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Filling:
    """Takes what a manifest says where nothing was declared, and remembers of what."""

    added: dict[str, None] = field(default_factory=dict)
    overruled: dict[str, None] = field(default_factory=dict)

    def fill(self, name: str, declared: Value, said: Value) -> Value:
        """Return what holds; empty is what was left open, or not said."""
        if not said or said == declared:
            return declared
        (self.overruled if declared else self.added)[name] = None
        return declared or said


def _target(target: Target, project: Project, manifest: Manifest, filling: _Filling) -> Target:
    if manifest.strategy not in {None, target.strategy}:
        problem = f"is the operator's to choose, who has {target.strategy} on {target.host}"
        raise _refusal("strategy", problem)
    fill = filling.fill

    def check(
        name: str, declared: HealthCheck | None, said: Mapping[str, object] | None
    ) -> HealthCheck | None:
        return declared if declared or said is None else _check(name, said, target, project)

    return replace(
        target,
        source_folder=fill("source_folder", target.source_folder, manifest.source_folder),
        build=fill("build", target.build, _build(target, manifest)),
        files=fill("files", target.files, manifest.files),
        compose_files=fill("compose_files", target.compose_files, manifest.compose_files),
        health=fill("health", target.health, check("health", target.health, manifest.health)),
        ready=fill("ready", target.ready, check("ready", target.ready, manifest.ready)),
    )


def _build(target: Target, manifest: Manifest) -> tuple[str, ...]:
    """Return the build command, unless it would be more than what the unit itself may do."""
    as_root = target.strategy is TargetStrategy.SYSTEMD_REMOTE and target.user in _ROOT
    if manifest.build and not target.build and as_root:
        problem = (
            f"would run as root on {target.host}; the operator may declare it, or another user"
        )
        raise _refusal("build", problem)
    return manifest.build


def _check(name: str, said: Mapping[str, object], target: Target, project: Project) -> HealthCheck:
    """Return the check: of the port that the operator declared, asked on the host itself."""
    if said.get("kind") == ProbeKind.COMMAND:
        raise _refusal(f"{name}.kind", "a command would run on the host itself; ask http or tcp")
    if "origin" in said:
        raise _refusal(f"{name}.origin", "from where one asks is the operator's to say")
    port = project.expose_port if target.strategy is TargetStrategy.COMPOSE else target.port
    if port is None:
        raise _refusal(name, f"needs the port of {target.host}, which the operator declares")
    if said.get("port", port) != port:
        raise _refusal(f"{name}.port", f"is the operator's to say, who says {port}")
    try:
        check = parse_health_check({**said, "port": port}, name)
    except (InvalidInput, SeveralInvalid) as error:
        raise _invalid(error) from error
    if check.start_period > _LONGEST_START:
        most = f"{_LONGEST_START.total_seconds():g} s"
        problem = f"only an operator may declare more than {most}"
        raise _refusal(f"{name}.start_period_seconds", problem)
    return check


def _refusal(name: str, problem: str) -> ManifestRefused:
    shown_name = name if name.isprintable() else ascii(name)
    cut = f"{shown_name[:57]}…" if len(shown_name) > 60 else shown_name
    return ManifestRefused(f"{MANIFEST_PATH}: {cut}: {problem}", key=cut)


def _invalid(error: InvalidInput | SeveralInvalid) -> InvalidManifest:
    return InvalidManifest(f"{MANIFEST_PATH}: {error.message}")
