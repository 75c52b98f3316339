"""When: the loops, the workers, and the daemon that starts and ends them."""

from reconciler.scheduling.daemon import Daemon
from reconciler.scheduling.deployments import Deployments
from reconciler.scheduling.loops import Loop, LoopHealth, LoopSpec
from reconciler.scheduling.notices import Sending

__all__ = ["Daemon", "Deployments", "Loop", "LoopHealth", "LoopSpec", "Sending"]
