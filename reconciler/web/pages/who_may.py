"""Who may do what somebody else may not."""

from reconciler.domain.access import Scope
from reconciler.ports import Store

_MOST_NAMED = 5


def who_may(store: Store, scope: Scope, project: str | None) -> str:
    """Return the names of who may, as many as are shown."""
    people = [str(one.name) for one in store.list_people() if one.grants.allow(scope, project)]
    more = len(people) - _MOST_NAMED
    shown = ", ".join(people[:_MOST_NAMED]) or "whoever started this daemon"
    return f"{shown} and {more} more" if more > 0 else shown
