"""Access tokens, as their SHA-256."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update

from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.errors import AlreadyExists, NotFound, StoreError
from reconciler.domain.references import ProjectName
from reconciler.store.bindings import (
    PUSH_ALONE,
    forget_token,
    hold_projects,
    unbind_repository,
)
from reconciler.store.family import Family
from reconciler.store.tables import TOKEN
from reconciler.store.upsert import insert_if_absent

#: A use is noted so often at most: a busy token must not cost a write a request.
_NOTED_EVERY = timedelta(minutes=1)


class SqlTokens(Family):
    """``TokenStore``."""

    def add_token(self, token: AccessToken, digest: str) -> None:
        """Keep a token; see ``TokenStore``."""
        shown = {
            "scopes": sorted(token.scopes),
            "projects": None if token.projects is None else list(token.projects),
        }
        values = {
            **shown,
            "digest": digest,
            "created_at": token.created_at,
            "created_by": token.created_by,
            "expires_at": token.expires_at,
        }
        with self._database.writing() as connection:
            if token.projects is not None and token.scopes != PUSH_ALONE:
                hold_projects(connection, token.projects)
            if not insert_if_absent(connection, TOKEN, {"name": token.name}, values):
                raise AlreadyExists(f"there is a token {token.name!r} already")
            expires = token.expires_at.isoformat() if token.expires_at else None
            self._ledger.append(
                connection,
                "token.create",
                f"token {token.name}",
                None,
                shown | {"expires": expires},
            )

    def find_token(self, digest: str, now: datetime, remote: str = "") -> AccessToken | None:
        """Return the token with this SHA-256, unless it has expired; noted, if it can be."""
        with self._database.reading() as connection:
            row = connection.execute(select(TOKEN).where(TOKEN.c.digest == digest)).one_or_none()
        if row is None or (row.expires_at and row.expires_at <= now):
            return None
        if row.last_used_at is None or row.last_used_at <= now - _NOTED_EVERY:
            # A full disk keeps nobody from looking.
            with suppress(StoreError), self._database.writing() as connection:
                used = {"last_used_at": now, "last_used_from": remote}
                connection.execute(update(TOKEN).where(TOKEN.c.digest == digest).values(used))
        return _token(row)

    def list_tokens(self) -> Sequence[AccessToken]:
        """Return all tokens, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(TOKEN)).all()
        return sorted((_token(row) for row in rows), key=lambda one: one.name)

    def remove_token(self, name: str) -> None:
        """Delete it, with what its requests were answered. Raises ``NotFound``."""
        with self._database.writing() as connection:
            if not forget_token(connection, name):
                raise NotFound(f"there is no token {name!r}; `reconciler token list` shows all")
            self._ledger.append(connection, "token.remove", f"token {name}")

    def unbind_repository(self, name: ProjectName) -> None:
        """Take it from all tokens that may push to it: a later one of its name is another."""
        with self._database.writing() as connection:
            for told in unbind_repository(connection, name):
                self._ledger.append(connection, *told)


def _token(row: Row[Any]) -> AccessToken:
    return AccessToken(
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        projects=None if row.projects is None else tuple(ProjectName(one) for one in row.projects),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        last_used_from=row.last_used_from,
    )
