"""How the daemon's loops do, in words: in the foot of every page, and in full where admins look."""

from collections.abc import Iterable, Mapping, Sequence

from reconciler.scheduling import LoopHealth
from reconciler.web.pages.moments import took

#: Loop → what it does.
LOOPS: Mapping[str, str] = {
    "polls": "Looks at git servers",
    "hosted": "Looks at hosted repositories",
    "folders": "Looks at folders on hosts",
    "images": "Looks at registries",
    "webhooks": "Reads what webhooks brought",
    "held-sources": "Looks again at held sources",
    "held-images": "Looks again at held images",
    "drift": "Looks whether what runs was changed",
    "fleet": "Looks at the fleet file",
    "hosts": "Asks hosts",
    "clusters": "Asks clusters",
    "deployments": "Starts deployments",
    "leases": "Keeps deployments",
    "expiry": "Lets go of lost deployments",
    "promotions": "Promotes",
    "soak": "Watches what soaks",
    "notices": "Sends notifications",
    "commit-statuses": "Tells forges",
    "settings": "Follows settings",
}


def name_of(loop: LoopHealth) -> str:
    """Return what the loop does; of one that has no words yet, its name."""
    return LOOPS.get(loop.name, loop.name)


def late_loops(loops: Iterable[LoopHealth]) -> Sequence[str]:
    """Return those that healthz finds stuck, in words."""
    return [_late(loop) for loop in loops if not loop.ok]


def _late(loop: LoopHealth) -> str:
    how = f"{took(loop.late)} late" if loop.late else "stopped"
    return f"{name_of(loop)}: {how}"
