"""No core files: a crash, or a watchdog's SIGABRT, must not write the secrets in memory to a disk.

Source: core(5), "Piping core dumps to a program": the limit alone says nothing to a program that
takes the core; prctl(2), PR_SET_DUMPABLE.
"""

import ctypes
import logging
import os
import resource

_log = logging.getLogger(__name__)
_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Keep this process from leaving a core, and from being looked into by others of its user.

    Programs that are started from here have the limit, and can be looked into as any other can.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        library = ctypes.CDLL(None, use_errno=True)
        failed = library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        return  # not Linux
    if failed:
        _log.warning("core dumps can't be switched off: %s", os.strerror(ctypes.get_errno()))
