"""What an operator writes to declare a cluster, and the rules it has to meet. Pure."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import LOCAL, HostName, parse_host_name
from reconciler.domain.problems import Problems
from reconciler.domain.workload import Cluster, parse_context


@dataclass(frozen=True, slots=True)
class ClusterDraft:
    """A cluster as it was asked for: nobody has checked it yet."""

    name: str
    context: str | None = None  #: of its kubeconfig; None: the current one
    in_cluster: bool = False


def draft_of(cluster: Cluster) -> ClusterDraft:
    """Return the draft that ``parse_cluster`` makes ``cluster`` of."""
    return ClusterDraft(cluster.name, cluster.context or None, cluster.in_cluster)


def parse_cluster(draft: ClusterDraft, now: datetime) -> Cluster:
    """Return the cluster that ``draft`` declares, new at ``now``, without a kubeconfig.

    Raises:
        InvalidInput: one field is wrong.
        SeveralInvalid: more are; every one is named.
    """
    problems = Problems()
    name = problems.collect(lambda: _parse_name(draft.name)) or LOCAL
    context = problems.collect(lambda: parse_context(draft.context) if draft.context else "")
    if draft.in_cluster and draft.context:
        problem = "is of a kubeconfig, and the daemon's own cluster needs none; leave it out"
        problems.found.append(InvalidInput("context", draft.context, problem))
    if problems.found:
        raise problems.error()
    return Cluster(name, now, context or "", draft.in_cluster)


def _parse_name(text: str) -> HostName:
    name = parse_host_name(text, "name")
    if name == LOCAL:
        raise InvalidInput("name", text, "is the daemon's own machine; choose another name")
    return name
