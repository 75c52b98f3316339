"""What happened in this process, as counters and histograms.

Labels have few values: names of projects, hosts and routes that are known here, and words of ours.
"""

import threading
from datetime import timedelta

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from reconciler.domain.deployment import Deployment
from reconciler.domain.webhook_signature import Verdict

#: Different registries and projects that are told apart; what comes after them counts together.
_MOST_NAMES = 10_000
_MOST_REGISTRIES = 200
_OTHERS = "other"

_LATENESS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)
_WORK = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_TRANSACTION = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
_ANSWER = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)


class Meters:
    """``Metering`` for Prometheus."""

    def __init__(self, *, per_project: bool = True) -> None:
        """Begin at zero; without ``per_project`` the projects' deployments count together."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began: twice the lines, and nobody asks
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._projects = _Names(_MOST_NAMES if per_project else 0, "")
        self._registries = _Names(_MOST_REGISTRIES, _OTHERS)
        self._make_looks()
        self._make_deployments()
        self._make_rest()

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"reconciler_{name}", meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"reconciler_{name}_seconds", meaning, labels, registry=self.registry, buckets=buckets
        )

    def _make_looks(self) -> None:
        self._polls = self._counter(
            "polls", "Looks at git servers, by what they gave.", "outcome", "code"
        )
        self._poll_lateness = self._histogram(
            "poll_lateness", "How long after its time a look at a git server began.", _LATENESS
        )
        self._lookups = self._counter(
            "lookups", "Questions to image registries.", "registry", "outcome", "code"
        )
        self._deliveries = self._counter(
            "webhook_deliveries", "Requests to webhooks, by what became of them.", "verdict"
        )

    def _make_deployments(self) -> None:
        self._deployments = self._counter(
            "deployments", "Deployments that ended.", "project", "trigger", "outcome"
        )
        self._durations = self._histogram(
            "deployment_duration",
            "From the first start of a deployment to its end.",
            _WORK,
            "outcome",
        )
        self._stages = self._histogram(
            "stage_duration", "How long stages of deployments took.", _WORK, "stage", "outcome"
        )
        self._waits = self._histogram(
            "deployment_wait", "From asking for a deployment to its first start.", _LATENESS
        )
        self._claims_lost = self._counter(
            "claims_lost", "Deployments whose worker here could not keep its lease."
        )

    def _make_rest(self) -> None:
        self._errors = self._counter("errors", "Errors, by where and which.", "where", "code")
        self._tick_lateness = self._histogram(
            "tick_lateness", "How long after its time a pass of a loop began.", _LATENESS, "loop"
        )
        self._transactions = self._histogram(
            "store_transaction", "How long transactions of the database took.", _TRANSACTION, "kind"
        )
        self._requests = self._counter(
            "http_requests", "Requests, by path template.", "method", "route", "status"
        )
        self._answers = self._histogram(
            "http_answer", "From a request's head to the head of its answer.", _ANSWER
        )

    # ── Metering ──────────────────────────────────────────────────────────────────────────────

    def polled(self, outcome: str, code: str, late: timedelta | None) -> None:
        """Count a look at a git server."""
        self._polls.labels(outcome, code).inc()
        if code:
            self.failed("poll", code)
        if late is not None:
            self._poll_lateness.observe(max(late.total_seconds(), 0))

    def looked_up(self, registry: str, code: str) -> None:
        """Count a look-up of a digest."""
        outcome = "failed" if code else "ok"
        self._lookups.labels(self._registries.bounded(registry), outcome, code).inc()
        if code:
            self.failed("lookup", code)

    def received(self, verdict: Verdict) -> None:
        """Count what came to a webhook's address."""
        self._deliveries.labels(verdict).inc()

    def begun(self, deployment: Deployment) -> None:
        """Time how long it waited, where a worker takes it up for the first time."""
        if deployment.fence == 1 and deployment.started_at is not None:
            waited = deployment.started_at - deployment.created_at
            self._waits.observe(max(waited.total_seconds(), 0))

    def put_back(self, deployment: Deployment) -> None:
        """Count an attempt that failed for a passing reason."""
        if deployment.error is not None:
            self.failed("attempt", deployment.error.code)

    def ended(self, deployment: Deployment) -> None:
        """Count a deployment that has ended, and time it and its stages."""
        project = self._projects.bounded(deployment.project)
        trigger = deployment.causes[0].trigger
        self._deployments.labels(project, trigger, deployment.status).inc()
        if deployment.duration is not None:
            self._durations.labels(deployment.status).observe(deployment.duration.total_seconds())
        for one in deployment.stages:
            if one.duration is not None:
                outcome = "ok" if one.outcome == "ok" else "failed"
                self._stages.labels(one.stage, outcome).observe(one.duration.total_seconds())
        if deployment.error is not None:
            self.failed("deployment", deployment.error.code)

    def lost_claim(self) -> None:
        """Count a deployment whose worker here may not go on with it."""
        self._claims_lost.inc()

    def began_pass(self, loop: str, late: timedelta) -> None:
        """Time how late a pass of a loop begins."""
        self._tick_lateness.labels(loop).observe(late.total_seconds())

    def failed(self, where: str, code: str) -> None:
        """Count an error."""
        self._errors.labels(where, code).inc()

    def stored(self, kind: str, seconds: float) -> None:
        """Time a transaction of the store."""
        self._transactions.labels(kind).observe(seconds)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request, and time its answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._answers.observe(seconds)


class _Names:
    """The first names that came; the others have one together."""

    def __init__(self, most: int, others: str) -> None:
        self._most = most
        self._others = others
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def bounded(self, name: str) -> str:
        """Return ``name``, or what stands for all that came too late."""
        if name in self._known:
            return name
        with self._lock:
            if len(self._known) >= self._most:
                return self._others
            self._known.add(name)
        return name
