"""The loop that tells forges how commits fare."""

import random
import secrets
from datetime import timedelta

from reconciler.config import Config
from reconciler.pipeline.commit_statuses import CommitStatuses
from reconciler.ports import Clock, Forges, Store
from reconciler.scheduling import LoopSpec

#: A commit that is deployed faster is told to be deployed, and not that it waits.
_EVERY = timedelta(seconds=2)


def statuses_loop(config: Config, store: Store, clock: Clock, forges: Forges) -> LoopSpec:
    """Return the loop."""
    owner = f"statuses/{secrets.token_hex(8)}"
    statuses = CommitStatuses(store, clock, forges, owner, config.public_url, random.random)
    return LoopSpec("commit-statuses", statuses.send, _EVERY)
