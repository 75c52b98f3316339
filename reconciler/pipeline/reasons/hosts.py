"""What is wrong with the hosts that a project is deployed to."""

from collections.abc import Iterator

from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.reasons.explained import ExplainedReason, reason, reason_of_failure
from reconciler.pipeline.reasons.facts import Facts


def reasons_of_hosts(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield each host on which nothing can be done now, since when, and what is bound to it."""
    for target in facts.project.where:
        health = facts.hosts.get(target.host)
        if health is None or health.error is None:
            continue
        evidence = {"host": target.host, "last_check": health.checked_at}
        yield reason_of_failure(health.error, health.error.message, health.since, evidence)
        if target.keeps_volumes:
            yield from _pinned(facts, target.host, health)


def _pinned(facts: Facts, host: HostName, health: HostHealth) -> Iterator[ExplainedReason]:
    """Yield that the project's volumes are there, where something of it runs."""
    live, project = facts.state.live, facts.project
    if live and live.prepared and live.prepared.find(host):
        text = (
            f"its volumes are on {host}, and no other host takes its place by itself; "
            f"`reconciler project move {project.name} --to HOST` leaves them behind"
        )
        evidence = {"host": host, "deployment": live.id}
        yield reason(ReasonCode.HOST_PINNED, text, health.since, evidence)
