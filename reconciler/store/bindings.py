"""What people, tokens and webhooks may do on single projects, which goes with the projects.

A later project of the same name is another one, and nobody chose who may do what there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, select, update

from reconciler.domain.access import Scope, principal_of_token
from reconciler.domain.audit import Shown
from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import ProjectName
from reconciler.store.tables import ANSWER, PERSON, PROJECT, TOKEN, WEBHOOK

#: What is about a repository alone, whether or not there is a project of its name.
PUSH_ALONE = frozenset({Scope.PUSH})


class Told(NamedTuple):
    """An entry for the audit log, which is written at a transaction's end."""

    action: str
    subject: str
    before: Mapping[str, Shown] | None = None
    after: Mapping[str, Shown] | None = None


def hold_projects(connection: Connection, names: Iterable[ProjectName]) -> None:
    """See to it that these projects are there until this transaction ends.

    Raises:
        InvalidInput: one is not.
    """
    wanted = sorted(set(names))
    statement = select(PROJECT.c.name).where(PROJECT.c.name.in_(wanted)).order_by(PROJECT.c.name)
    there = set(connection.execute(statement.with_for_update(read=True)).scalars())
    for name in wanted:
        if name not in there:
            raise InvalidInput("projects", name, "is no project that was declared")


def unbind_project(connection: Connection, name: ProjectName) -> list[Told]:
    """Take a project from all tokens and people, and its webhooks; return what there is to tell."""
    bound = [row for row in _bound_tokens(connection, name) if _scopes(row) != PUSH_ALONE]
    return [
        *_unbind_tokens(connection, bound, name),
        *_unbind_people(connection, name),
        *_remove_webhooks(connection, name),
    ]


def unbind_repository(connection: Connection, name: ProjectName) -> list[Told]:
    """Take a repository from all tokens that may push to it; return what there is to tell."""
    bound = [row for row in _bound_tokens(connection, name) if Scope.PUSH in _scopes(row)]
    return list(_unbind_tokens(connection, bound, name))


def forget_token(connection: Connection, name: str) -> bool:
    """Delete a token with what its requests were answered; tell whether there was one.

    Another token of its name is another principal: what this one was shown is not its.
    """
    removed = connection.execute(delete(TOKEN).where(TOKEN.c.name == name))
    connection.execute(delete(ANSWER).where(ANSWER.c.principal == principal_of_token(name)))
    return removed.rowcount > 0


def _bound_tokens(connection: Connection, name: ProjectName) -> list[Row[Any]]:
    statement = select(TOKEN).where(TOKEN.c.projects.is_not(None)).order_by(TOKEN.c.name)
    return [row for row in connection.execute(statement.with_for_update()) if name in row.projects]


def _scopes(row: Row[Any]) -> frozenset[Scope]:
    return frozenset(Scope(scope) for scope in row.scopes)


def _unbind_tokens(
    connection: Connection, rows: Iterable[Row[Any]], name: ProjectName
) -> Iterator[Told]:
    for row in rows:
        subject, left = f"token {row.name}", [one for one in row.projects if one != name]
        if not left:  # bound to nothing, it opens nothing
            forget_token(connection, row.name)
            yield Told("token.remove", subject)
            continue
        connection.execute(update(TOKEN).where(TOKEN.c.name == row.name).values(projects=left))
        yield Told("token.change", subject, {"projects": row.projects}, {"projects": left})


def _unbind_people(connection: Connection, name: ProjectName) -> Iterator[Told]:
    statement = select(PERSON).order_by(PERSON.c.name).with_for_update()
    for row in connection.execute(statement).all():
        if name in row.roles:
            left = {project: role for project, role in row.roles.items() if project != name}
            connection.execute(update(PERSON).where(PERSON.c.name == row.name).values(roles=left))
            yield Told("person.change", f"person {row.name}", {"roles": row.roles}, {"roles": left})


def _remove_webhooks(connection: Connection, name: ProjectName) -> Iterator[Told]:
    its = delete(WEBHOOK).where(WEBHOOK.c.project == name).returning(WEBHOOK.c.name)
    for webhook in sorted(connection.execute(its).scalars()):
        yield Told("webhook.remove", f"webhook {webhook}")
