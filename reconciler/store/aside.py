"""What goes with something else in its transaction, and must not keep that from happening."""

import logging
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

_log = logging.getLogger("reconciler.store")


def done_aside(connection: Connection, what: str, work: Callable[[], object]) -> str:
    """Do ``work``, or nothing of it; return what kept it from being done, if a bug did.

    Raises:
        OperationalError, InterfaceError, InternalError: the database's own trouble, which the
            whole transaction has: it is tried again.
    """
    try:
        with connection.begin_nested():
            work()
    except (OperationalError, InterfaceError, InternalError):
        raise
    except Exception as bug:  # noqa: BLE001  whatever it is, what it goes with has happened
        _log.exception("%s failed unexpectedly, and is left out", what)
        return type(bug).__name__
    return ""
