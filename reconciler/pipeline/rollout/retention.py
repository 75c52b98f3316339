"""Which verified revisions are kept to go back to, and letting go of the rest."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace

from reconciler.domain.deployment import PreparedRevision, PreparedTarget
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.project import Project
from reconciler.domain.target import TargetStrategy
from reconciler.log import fields
from reconciler.ports import Store, Strategy

_log = logging.getLogger(__name__)


def forget_old_ones(
    store: Store,
    strategies: Mapping[TargetStrategy, Strategy],
    project: Project,
    verified: PreparedRevision,
    *,
    keep: int,
) -> None:
    """Keep the newest ``keep`` verified revisions and the live one; more would fill the disk.

    To be called while ``verified``, the newest of them, is still claimed, so that nothing else of
    the project is made ready meanwhile: it could need what goes. Safe to repeat. What several
    deployments share goes with the last of them; what a host keeps that can't be reached now goes
    with the next one.
    """
    live = store.get_state(project.name).live
    every = store.list_restorable(project.name)
    old = [one for one in every[keep - 1 :] if live is None or one.id != live.id]
    old_ids = {one.id for one in old}
    kept = [
        *verified.targets,
        *(
            target
            for one in every
            if one.id not in old_ids and one.prepared
            for target in one.prepared.targets
        ),
    ]
    for one in old:
        store.drop_prepared(one.id)
        for prepared in one.prepared.targets if one.prepared else ():
            if not any(_same_on_disk(prepared, other) for other in kept):
                _forget(strategies, project, prepared, kept)


def _forget(
    strategies: Mapping[TargetStrategy, Strategy],
    project: Project,
    prepared: PreparedTarget,
    kept: Collection[PreparedTarget],
) -> None:
    there = [one for one in kept if one.host == prepared.host]
    for target in project.where:
        if target.host != prepared.host:
            continue
        try:
            strategies[target.strategy].forget(target, prepared, there)
        except ReconcilerError as error:
            _log.warning(
                "what is old stays on %s for now: %s",
                target.host,
                error.message,
                extra=fields(code=error.code),
            )


def _same_on_disk(one: PreparedTarget, other: PreparedTarget) -> bool:
    """Tell whether dropping what is kept of ``one`` would drop what is kept of ``other``."""
    return replace(one, revision=other.revision) == other
