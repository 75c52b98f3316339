"""How long a roll-out is waited for."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a roll-out is waited for."""

    #: For one workload, whatever its own ``progressDeadlineSeconds`` says.
    roll_out: timedelta = timedelta(hours=1)
    #: For a node that fits: an autoscaler adds one within a minute or two.
    unschedulable: timedelta = timedelta(minutes=2)
    changes: int = 5  #: of a workload by others, each between our look at it and our change
