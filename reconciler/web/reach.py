"""What somebody may not change who may change single projects alone: what reaches beyond those."""

from collections.abc import Collection

from fastapi import Request

from reconciler.domain.errors import AccessDenied
from reconciler.domain.references import ProjectName
from reconciler.ports import Store
from reconciler.web.principal import Policy, principal_of
from reconciler.web.subjects import About, find_project

#: Fields of a project that concern nothing but itself. Not among them: where its code and images
#: come from, which uses the daemon's credentials and others' repositories (``repository``, ``url``,
#: ``image``, ``push_images``); which forge is told of it (``forge_url``); ports and volumes of the
#: machine; and whether the repository may declare things (``allow_manifest``).
OF_A_PROJECT = frozenset(
    {
        *("branch", "compose_path", "expose_service", "expose_port", "stateful_services"),
        *("auto_deploy", "one_by_one", "migration", "version", "watch_paths", "skip_markers"),
        "mend_drift",
        *("commit_statuses", "forge"),
    }
)
#: The same of a target. Not among them: who runs it, how and where on the host (``strategy``,
#: ``folder``, ``base``, ``user``, ``port``, ``namespace``), what of a cluster is changed
#: (``workloads``), and what is run or asked outside of it (``build``, ``health``, ``ready``).
OF_A_TARGET = frozenset(
    {
        *("source_folder", "binary", "files", "environment", "compose_files"),
        *("health_path", "ready_path", "branch"),
    }
)
#: The same of a registration at a forge: whose address is told to whom.
OF_A_REGISTRATION = frozenset({"token", "name", "provider", "test"})


def require_within(
    request: Request, project: ProjectName, changed: Collection[str], own: frozenset[str]
) -> None:
    """Let pass who may change the whole daemon's declarations, or changes but ``own`` fields.

    Raises:
        AccessDenied: naming the fields that reach beyond the project.
    """
    principal, beyond = principal_of(request), sorted(set(changed) - own)
    if beyond and not principal.may(Policy.CONFIG):
        text = f"reaches beyond {project}" if len(beyond) == 1 else f"reach beyond {project}"
        raise AccessDenied(
            f"{', '.join(beyond)} {text}: {principal.name} lacks the scope {Policy.CONFIG} for the "
            "whole daemon, which this needs"
        )


def require_own_name(request: Request, store: Store, project: ProjectName, webhook: str) -> None:
    """Let pass who may name webhooks as they like, or names one after its project.

    Raises:
        AccessDenied: the name is another's, or may be, which is not told.
    """
    principal = principal_of(request)
    if principal.may(Policy.CONFIG):
        return
    own = webhook == project or webhook.startswith(f"{project}-")
    if not own or find_project(store, About.WEBHOOK, webhook) not in {None, project}:
        raise AccessDenied(
            f"a webhook of {project} is named {project} or {project}-…: {principal.name} lacks the "
            f"scope {Policy.CONFIG} for the whole daemon, which this name needs"
        )
