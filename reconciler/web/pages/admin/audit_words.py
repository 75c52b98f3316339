"""Entries of the audit log as sentences: who did what to what, and how that ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.audit import AuditEntry, Shown

#: Action → what was done to the subject. Others are "changed", "created", "removed" by their name.
_DID: Mapping[str, str] = {
    "project.deploy": "asked for a deployment of",
    "project.rollback": "asked to roll back",
    "project.freeze": "froze",
    "project.thaw": "let go on",
    "quarantine.lift": "lifted the quarantine of",
    "deployment.withdraw": "cancelled",
    "migration.approve": "approved the migration of",
    "promotion.propose": "proposed the promotion of",
    "promotion.approve": "approved the promotion of",
    "promotion.reject": "rejected the promotion of",
    "promotion.end": "ended the promotion of",
    "release.report": "reported a release of",
    "target.set-up": "set up",
    "host.key": "stored our private key for",
    "host-key.pin": "took the first key of",
    "cluster.kubeconfig": "stored the kubeconfig of",
    "secret.put": "stored",
    "secret.remove": "removed",
    "person.password": "gave a new password to",
    "session.begin": "signed in with",
    "session.end": "ended",
    "webhook.rotate": "gave a new secret to",
    "webhook.redeliver": "had looked into again a delivery of",
    "master-key.rotate": "rotated the master key",
    "access.denied": "was refused",
    "sign-in.failed": "failed to sign in as",
}
_VERBS: Mapping[str, str] = {"create": "created", "change": "changed", "remove": "removed"}
_REFUSED = frozenset({"access.denied", "sign-in.failed"})
_LONGEST_VALUE = 2000


@dataclass(frozen=True, slots=True)
class ChangedField:
    """One line before, and one after; None: it was not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry, to be shown."""

    number: int
    at: datetime
    actor: str
    did: str
    subject: str
    remote: str
    request: str
    action: str
    refused: bool
    changes: Sequence[ChangedField]

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditLine":
        """Return the line of ``entry``."""
        return cls(
            number=entry.number,
            at=entry.at,
            actor=entry.actor,
            did=did(entry.action),
            subject=entry.subject,
            remote=entry.remote,
            request=entry.request,
            action=entry.action,
            refused=entry.action in _REFUSED,
            changes=[
                ChangedField(name, _text(before), _text(after))
                for name, (before, after) in entry.changes.items()
                if before != after
            ],
        )


def did(action: str) -> str:
    """Return what was done, as it goes on to the subject: ``changed``."""
    verb = action.rpartition(".")[2]
    return _DID.get(action) or _VERBS.get(verb, verb.replace("-", " "))


def _text(value: Shown) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
