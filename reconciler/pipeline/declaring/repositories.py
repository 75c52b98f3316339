"""Repositories that are kept here, made and deleted; the audit log is told of it first.

They are folders, and no transaction holds them and its entry together: so there may be an entry
whose repository a kill forestalled, and never a repository without one.
"""

from reconciler.domain.references import ProjectName
from reconciler.ports import AuditStore, Repositories


def make_repository(store: AuditStore, repositories: Repositories, name: ProjectName) -> None:
    """Make it, empty, where it is not there yet."""
    if name not in repositories.names():
        store.note("repository.create", f"repository {name}")
        repositories.create(name)


def remove_repository(store: AuditStore, repositories: Repositories, name: ProjectName) -> None:
    """Delete it with all it holds. Raises ``NotFound``."""
    repositories.path(name)
    store.note("repository.remove", f"repository {name}")
    repositories.remove(name)
