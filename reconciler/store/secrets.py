"""Secrets, sealed at rest and bound to their row; host keys beside them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from reconciler.domain.errors import NotFound
from reconciler.domain.project import ExternalSource, Project, Source
from reconciler.domain.references import GitUrl, ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import GitCredentials, RegistryCredentials, SecretRecord
from reconciler.store.family import SealedFamily, lock_project
from reconciler.store.project_rows import project_from_row
from reconciler.store.sealed import SECRET_VALUE
from reconciler.store.tables import HOST_KEY, PROJECT, SECRET
from reconciler.store.upsert import insert_if_absent, upsert

_GIT_TOKEN, _GIT_SSH_KEY = "git-token", "git-ssh-key"
FORGE_TOKEN = "forge-token"  # noqa: S105  a name, not a secret
_REGISTRY, _VARIABLE = "registry:", "variable:"
#: The user name under which Docker stores an identity token. Source: docker/cli, ``config/types``.
_IDENTITY_TOKEN_USER = "<token>"  # noqa: S105  a marker, not a secret


class SqlSecrets(SealedFamily):
    """``SecretStore``."""

    def put_secret(
        self,
        project: ProjectName,
        name: str,
        secret: Secret,
        *,
        bound_to: str,
        username: str,
        now: datetime,
    ) -> SecretRecord:
        """Store or replace it. Raises ``NotFound`` for the project."""
        record = SecretRecord(name, self._sealer.fingerprint(secret), bound_to, username, now)
        # Else whoever can rewrite where it goes need not be able to open it.
        place = SECRET_VALUE.context(project, name, bound_to=bound_to)
        sealed = self._sealer.seal(secret, place)
        with self._database.writing() as connection:
            lock_project(connection, project)
            before = _find_fingerprint(connection, project, name)
            upsert(
                connection,
                SECRET,
                {"project": project, "name": name},
                {
                    "sealed": sealed,
                    "fingerprint": record.fingerprint,
                    "bound_to": bound_to,
                    "username": username,
                    "updated_at": now,
                },
            )
            self._ledger.append(
                connection,
                "secret.put",
                _subject(project, name),
                {"fingerprint": before},
                {"fingerprint": record.fingerprint, "at": now.isoformat()},
            )
        return record

    def remove_secret(self, project: ProjectName, name: str) -> None:
        """Delete it. Raises ``NotFound``."""
        with self._database.writing() as connection:
            removed = connection.execute(
                delete(SECRET).where(SECRET.c.project == project, SECRET.c.name == name)
            )
            if removed.rowcount == 0:
                raise NotFound(f"project {project!r} has no secret {name!r}")
            self._ledger.append(connection, "secret.remove", _subject(project, name))

    def list_secrets(self, project: ProjectName) -> Sequence[SecretRecord]:
        """Return what may be shown, by name."""
        with self._database.reading() as connection:
            rows = _select_secrets(connection, project)
        return sorted(
            (
                SecretRecord(row.name, row.fingerprint, row.bound_to, row.username, row.updated_at)
                for row in rows
            ),
            key=lambda record: record.name,
        )

    def git_credentials(self, project: ProjectName, source: Source | None) -> GitCredentials | None:
        """Return those bound to the source's origin; None if there are none for it.

        Where it has none, those of the environment before it serve, if that has the same source.
        """
        if not isinstance(source, ExternalSource):
            return None
        origin = source.url.origin
        with self._database.reading() as connection:
            rows = _find_git(connection, project, origin)
            for before in () if rows else _before_of(connection, project, source.url):
                if rows := _find_git(connection, before, origin):
                    break
            host_key = _select_host_key(connection, origin)
        if not rows:
            return None
        token, ssh_key = rows.get(_GIT_TOKEN), rows.get(_GIT_SSH_KEY)
        return GitCredentials(
            origin=origin,
            username=token.username if token else "",
            token=self._unseal(token) if token else None,
            ssh_key=self._unseal(ssh_key) if ssh_key else None,
            known_host_key=host_key,
        )

    def find_forge_token(self, project: ProjectName, origin: str) -> Secret | None:
        """Return the one bound to exactly this origin."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(SECRET).where(
                    SECRET.c.project == project,
                    SECRET.c.name == FORGE_TOKEN,
                    SECRET.c.bound_to == origin,
                )
            ).one_or_none()
        return self._unseal(row) if row else None

    def variables(self, project: ProjectName) -> Mapping[str, Secret]:
        """Return the project's own environment."""
        with self._database.reading() as connection:
            rows = _select_secrets(connection, project)
        return {
            row.name.removeprefix(_VARIABLE): self._unseal(row)
            for row in rows
            if row.name.startswith(_VARIABLE)
        }

    def registry_credentials(
        self, host: str, project: ProjectName | None
    ) -> RegistryCredentials | None:
        """Return the project's for exactly this host; none of them serve without a project."""
        if project is None:
            return None
        with self._database.reading() as connection:
            row = _find_registry(connection, host, project)
        if row is None:
            return None
        identity_token = row.username == _IDENTITY_TOKEN_USER
        return RegistryCredentials(host, row.username, self._unseal(row), identity_token)

    def has_registry_credentials(self, host: str, project: ProjectName) -> bool:
        """Tell whether the project has its own for this host."""
        with self._database.reading() as connection:
            return _find_registry(connection, host, project) is not None

    def list_registry_users(self) -> Mapping[str, Mapping[ProjectName, str]]:
        """Return as whom projects are known to registries, where they have credentials."""
        statement = select(SECRET.c.project, SECRET.c.name, SECRET.c.username)
        with self._database.reading() as connection:
            rows = connection.execute(statement.where(SECRET.c.name.startswith(_REGISTRY))).all()
        found: dict[str, dict[ProjectName, str]] = {}
        for row in rows:
            host = row.name.removeprefix(_REGISTRY)
            found.setdefault(host, {})[ProjectName(row.project)] = row.username
        return found

    def pin_host_key(self, origin: str, key: str, now: datetime) -> None:
        """Keep the key that an SSH server showed at first contact. Never replaces another."""
        with self._database.writing() as connection:
            values = {"key": key, "pinned_at": now}
            if insert_if_absent(connection, HOST_KEY, {"origin": origin}, values):
                self._ledger.append(
                    connection, "host-key.pin", f"server {origin}", None, {"key": key}
                )

    def get_host_key(self, origin: str) -> str:
        """Return the pinned key; empty before first contact."""
        with self._database.reading() as connection:
            return _select_host_key(connection, origin)

    def _unseal(self, row: Row[Any]) -> Secret:
        place = SECRET_VALUE.context(row.project, row.name, bound_to=row.bound_to)
        return self._sealer.unseal(row.sealed, place)


def _subject(project: ProjectName, name: str) -> str:
    return f"secret {name} of project {project}"


def _find_fingerprint(connection: Connection, project: ProjectName, name: str) -> str | None:
    statement = select(SECRET.c.fingerprint)
    mine = (SECRET.c.project == project) & (SECRET.c.name == name)
    return connection.execute(statement.where(mine)).scalar_one_or_none()


def _select_secrets(connection: Connection, project: ProjectName) -> Sequence[Row[Any]]:
    return connection.execute(select(SECRET).where(SECRET.c.project == project)).all()


def _find_git(connection: Connection, project: ProjectName, origin: str) -> dict[str, Row[Any]]:
    return {
        row.name: row
        for row in _select_secrets(connection, project)
        if row.name in {_GIT_TOKEN, _GIT_SSH_KEY} and row.bound_to == origin
    }


def _before_of(connection: Connection, project: ProjectName, url: GitUrl) -> Iterator[ProjectName]:
    """Yield the environments before a project's, the nearest first, as long as ``url`` is theirs.

    Who may declare what is promoted from a project has no say over its secrets: to another
    repository they are never shown.
    """
    seen = {project}
    its = _find_project(connection, project)
    while its and its.promoted_from and its.promoted_from not in seen:
        its = _find_project(connection, its.promoted_from)
        if its is None or not isinstance(its.source, ExternalSource) or its.source.url != url:
            return
        seen.add(its.name)
        yield its.name


def _find_project(connection: Connection, name: ProjectName) -> Project | None:
    row = connection.execute(select(PROJECT).where(PROJECT.c.name == name)).one_or_none()
    return project_from_row(row) if row else None


def _find_registry(connection: Connection, host: str, project: ProjectName) -> Row[Any] | None:
    return connection.execute(
        select(SECRET).where(
            SECRET.c.project == project,
            SECRET.c.name == _REGISTRY + host,
            SECRET.c.bound_to == host,
        )
    ).one_or_none()


def _select_host_key(connection: Connection, origin: str) -> str:
    statement = select(HOST_KEY.c.key).where(HOST_KEY.c.origin == origin)
    return connection.execute(statement).scalar_one_or_none() or ""
