"""What is counted where it happens, because the store keeps no record of it."""

from datetime import timedelta
from typing import Protocol

from reconciler.domain.deployment import Deployment
from reconciler.domain.webhook_signature import Verdict


class Metering(Protocol):
    """Counts, and times. No method raises or waits; ``code`` is an error's, empty for none."""

    def polled(self, outcome: str, code: str, late: timedelta | None) -> None:
        """Count a look at a git server; ``late`` after its time, None where it had none."""
        ...

    def looked_up(self, registry: str, code: str) -> None:
        """Count a look-up of a digest."""
        ...

    def received(self, verdict: Verdict) -> None:
        """Count what came to a webhook's address."""
        ...

    def begun(self, deployment: Deployment) -> None:
        """Time how long it waited, where a worker takes it up for the first time."""
        ...

    def put_back(self, deployment: Deployment) -> None:
        """Count an attempt that failed for a passing reason."""
        ...

    def ended(self, deployment: Deployment) -> None:
        """Count a deployment that has ended, and time it and its stages."""
        ...

    def lost_claim(self) -> None:
        """Count a deployment whose worker here may not go on with it."""
        ...

    def began_pass(self, loop: str, late: timedelta) -> None:
        """Time how late a pass of a loop begins."""
        ...

    def failed(self, where: str, code: str) -> None:
        """Count an error."""
        ...

    def stored(self, kind: str, seconds: float) -> None:
        """Time a transaction of the store; ``kind`` is ``read`` or ``write``."""
        ...

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request of the API, by the template of its path, and time its answer."""
        ...


class Unmetered:
    """Counts nothing."""

    def polled(self, outcome: str, code: str, late: timedelta | None) -> None: ...  # noqa: D102
    def looked_up(self, registry: str, code: str) -> None: ...  # noqa: D102
    def received(self, verdict: Verdict) -> None: ...  # noqa: D102
    def begun(self, deployment: Deployment) -> None: ...  # noqa: D102
    def put_back(self, deployment: Deployment) -> None: ...  # noqa: D102
    def ended(self, deployment: Deployment) -> None: ...  # noqa: D102
    def lost_claim(self) -> None: ...  # noqa: D102
    def began_pass(self, loop: str, late: timedelta) -> None: ...  # noqa: D102
    def failed(self, where: str, code: str) -> None: ...  # noqa: D102
    def stored(self, kind: str, seconds: float) -> None: ...  # noqa: D102
    def answered(self, method: str, route: str, status: int, seconds: float) -> None: ...  # noqa: D102


UNMETERED = Unmetered()
