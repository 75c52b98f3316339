"""What we need to be allowed in a namespace: as much as the role in ``packaging/kubernetes``."""

import json
from collections.abc import Iterator

import lightkube
from lightkube.models.authorization_v1 import (
    ResourceAttributes,
    SelfSubjectAccessReviewSpec,
)
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview

from reconciler.adapters.kubernetes.connection import Connection, Question
from reconciler.adapters.kubernetes.refusals import Deed, Refusals
from reconciler.domain.errors import HostRefused
from reconciler.domain.workload import WorkloadKind

_REVIEW = Deed("create", "selfsubjectaccessreviews.authorization.k8s.io", "")
#: Group, resource, subresource → verbs.
_NEEDED = (
    *(("apps", f"{kind}s", "", ("get", "watch", "patch")) for kind in WorkloadKind),
    ("apps", "replicasets", "", ("list",)),
    ("apps", "controllerrevisions", "", ("list",)),
    ("", "pods", "", ("list", "watch")),
    ("", "events", "", ("list",)),
    ("", "pods", "log", ("get",)),
    ("", "pods", "proxy", ("get",)),
)


def server_version(connection: Connection, refusals: Refusals) -> str:
    """Return the version of the API server, e.g. ``v1.34.1``."""
    deed = Deed("get", "/version", "")
    reply = connection.ask(Question("GET", "/version"))
    refusals.check(deed, reply)
    try:
        version = json.loads(reply.body)["gitVersion"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise refusals.no_answer(deed) from None
    return refusals.shown(str(version))[:64]


def check_permissions(api: lightkube.Client, refusals: Refusals, namespace: str) -> None:
    """Ask for each of them. Raises ``HostRefused``, naming all that are missing.

    Without a namespace nothing can be missing, and who is not let in is refused all the same.
    """
    missing = []
    for asked in _permissions(namespace):
        with refusals.named(_REVIEW):
            spec = SelfSubjectAccessReviewSpec(resourceAttributes=asked)
            answer = api.create(SelfSubjectAccessReview(spec=spec))
            allowed = answer.status is not None and answer.status.allowed
        if not namespace:
            return
        if not allowed:
            resource = "/".join(filter(None, (asked.resource, asked.subresource)))
            missing.append(f"{asked.verb} {resource}")
    if missing:
        message = f"cluster {refusals.cluster} does not let us {', '.join(missing)}"
        error = HostRefused(f"{message} in namespace {namespace}", host=refusals.cluster)
        error.remedy = "grant it: packaging/kubernetes/rbac.yaml has the role that is needed"
        raise error


def _permissions(namespace: str) -> Iterator[ResourceAttributes]:
    for group, resource, sub, verbs in _NEEDED:
        for verb in verbs:
            yield ResourceAttributes(
                group=group,
                resource=resource,
                subresource=sub or None,
                verb=verb,
                namespace=namespace,
            )
