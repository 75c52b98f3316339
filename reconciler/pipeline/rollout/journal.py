"""A deployment's output on its way to the store: secrets taken out, in batches."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from reconciler.domain.deployment import DeploymentId, Stage
from reconciler.domain.errors import StoreError
from reconciler.domain.evidence import Evidence, cleaned
from reconciler.domain.failure import Failure
from reconciler.domain.secret import Secret
from reconciler.ports import Clock, DeploymentStore

_FLUSH_AFTER_SECONDS = 0.25
_MOST_UNWRITTEN_LINES = 5000


class Redaction(Protocol):
    """Takes registered secrets out of text."""

    def register(self, secret: Secret) -> None:
        """Take ``secret`` out from now on, in every usual encoding."""
        ...

    def clean(self, text: str) -> str:
        """Return ``text`` without secrets and control characters."""
        ...

    def clean_output(self, line: str) -> str:
        """As ``clean``, for what a program wrote: its colours stay."""
        ...

    def redact(self, text: str) -> str:
        """Return ``text`` without secrets, otherwise as it is."""
        ...


class Journal:
    """Collects lines, and writes them a few times a second. Safe to use from several threads."""

    def __init__(
        self, store: DeploymentStore, clock: Clock, redaction: Redaction, deployment: DeploymentId
    ) -> None:
        self._store = store
        self._clock = clock
        self._redaction = redaction
        self._deployment = deployment
        self._lock = threading.Lock()
        self._lines: list[tuple[Stage, str]] = []
        self._flushed_at = clock.monotonic()
        self.stage = Stage.PREPARE

    def say(self, line: str) -> None:
        """Add one line to the stage under way."""
        with self._lock:
            self._lines.append((self.stage, self._redaction.clean_output(line)))
            due = self._clock.monotonic() - self._flushed_at >= _FLUSH_AFTER_SECONDS
        if due:
            self.flush()

    def without_secrets(self, failure: Failure) -> Failure:
        """Return ``failure`` as it may be recorded: it quotes what programs and servers said."""
        redact = self._redaction.redact
        evidence = {name: redact(value) for name, value in failure.evidence.items()}
        return replace(failure, message=redact(failure.message), evidence=evidence)

    def evidence_without_secrets(self, evidence: Evidence) -> Evidence:
        """Return ``evidence`` as it may be recorded: it quotes what apps answered."""
        return cleaned(evidence, self._redaction.redact)

    def flush(self) -> None:
        """Write what has been collected.

        Output is worth less than the deployment: a store that is out of reach loses the oldest
        lines, and nothing else.
        """
        with self._lock:
            self._flushed_at = self._clock.monotonic()
            lines, self._lines = self._lines, []
            for number, (stage, texts) in enumerate(batches := list(_by_stage(lines))):
                try:
                    self._store.append_log(self._deployment, stage, texts, self._clock.now())
                except StoreError:
                    unwritten = [
                        (stage, text) for stage, texts in batches[number:] for text in texts
                    ]
                    self._lines = unwritten[-_MOST_UNWRITTEN_LINES:]
                    return


def _by_stage(lines: Sequence[tuple[Stage, str]]) -> list[tuple[Stage, list[str]]]:
    """Return ``lines`` grouped into runs of one stage, in order."""
    batches: list[tuple[Stage, list[str]]] = []
    for stage, text in lines:
        if not batches or batches[-1][0] is not stage:
            batches.append((stage, []))
        batches[-1][1].append(text)
    return batches
