"""Messages to people that could not be sent."""

from datetime import timedelta

from reconciler.domain.errors.base import ReconcilerError, Recovery


class NotifyError(ReconcilerError):
    """A channel's service did not take the message."""

    code = "notify-failed"
    recovery = Recovery.RETRY
    #: How long the service wants to be left alone.
    retry_after: timedelta = timedelta(0)


class NotifyUnreachable(NotifyError):
    """The service did not answer in time, or not at all."""

    code = "notify-unreachable"


class NotifyRefused(NotifyError):
    """The service answered that it does not take it, or is where we send nothing."""

    code = "notify-refused"
    recovery = Recovery.OPERATOR
    remedy = "give the channel its right address: `reconciler channel set NAME --new-url`"


class NotifyThrottled(NotifyError):
    """The service asks to be left alone for ``retry_after``."""

    code = "notify-throttled"

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after
