"""Repositories that are kept here, made and deleted; the audit log is told of it first.

They are folders, and no transaction holds them and its entry together: so there may be an entry
whose repository a kill forestalled, and never a repository without one.
"""

from reconciler.domain.references import ProjectName
from reconciler.ports import AuditStore, Repositories, Store


def make_repository(store: AuditStore, repositories: Repositories, name: ProjectName) -> None:
    """Make it, empty, where it is not there yet."""
    if name not in repositories.names():
        store.note("repository.create", f"repository {name}")
        repositories.create(name)


def remove_repository(store: Store, repositories: Repositories, name: ProjectName) -> None:
    """Delete it with all it holds, and what tokens may do on it. Raises ``NotFound``."""
    repositories.path(name)
    store.note("repository.remove", f"repository {name}")
    store.unbind_repository(name)  # first, so that a kill leaves nobody who gets into a later one
    repositories.remove(name)
    store.unbind_repository(name)  # and whoever was let in meanwhile
