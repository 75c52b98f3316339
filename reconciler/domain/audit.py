"""The audit log: who did what to what. Each entry is sealed together with the one before it."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.domain.secret import Secret

#: A value of a changed field: text, number, truth, or lists and objects of them.
Shown = object
#: Field → what it was and what it became; None: it was not there.
Changes = Mapping[str, tuple[Shown, Shown]]

#: What stands in the place of a seal before the first entry.
NO_SEAL = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did, or tried."""

    number: int  #: from 1 on, without a gap
    at: datetime
    actor: str  #: as records name who asks, e.g. ``local:1000``; ``reconciler`` for the daemon
    remote: str  #: address or peer that it came from; empty for the daemon
    request: str  #: id of the request, which the log has, too; empty for the daemon
    action: str  #: e.g. ``project.change``
    subject: str  #: what it was done to, e.g. ``project shop``
    changes: Changes
    seal: str = NO_SEAL  #: over all of the above and the seal before

    def sealed(self, key: Secret, previous: str) -> "AuditEntry":
        """Return it with its seal."""
        return replace(self, seal=_seal_of(self, key, previous))


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry, as it is kept apart from the log: what was cut off its end is missed."""

    number: int = 0
    seal: str = NO_SEAL

    def __str__(self) -> str:
        """Return the text to note somewhere else, and to compare with later."""
        return f"{self.number}:{self.seal}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Return what ``str`` was made of. Raises ``ValueError``."""
        number, _, seal = text.partition(":")
        return cls(int(number), seal)


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What looking through the log gave."""

    head: Head  #: the newest entry that was found in order
    problem: str = ""  #: what is wrong with the first one that is not; empty: all are in order

    @property
    def intact(self) -> bool:
        """Whether nothing was changed, taken away, added or put elsewhere."""
        return not self.problem


def check_entries(
    entries: Iterable[AuditEntry], key: Secret, head: Head, noted: Head | None = None
) -> AuditCheck:
    """Look through ``entries``, oldest first.

    Args:
        entries: all there are.
        key: what they were sealed with.
        head: the newest one, as it is kept apart, read before them.
        noted: one that was noted elsewhere earlier, if there is one to compare with.
    """
    seen, known = Head(), (head, noted or Head())
    for entry in entries:
        if entry.number != seen.number + 1:
            return AuditCheck(seen, f"entry {seen.number + 1} is missing")
        seal = _seal_of(entry, key, seen.seal)
        if not hmac.compare_digest(seal.encode(), entry.seal.encode()):
            return AuditCheck(seen, f"entry {entry.number} is not as it was written")
        seen = Head(entry.number, entry.seal)
        if any(one.number == seen.number and one != seen for one in known):
            return AuditCheck(seen, f"entry {entry.number} is another one than was noted of it")
    # What was written since ``head`` was read is there already, and in order.
    if seen.number < max(one.number for one in known):
        return AuditCheck(seen, f"entry {seen.number + 1} and those after it are missing")
    return AuditCheck(seen)


def changes_between(
    before: Mapping[str, Shown] | None, after: Mapping[str, Shown] | None
) -> Changes:
    """Return the fields in which they differ; None: it was not there before, or is not after."""
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    return {
        name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    }


def _seal_of(entry: AuditEntry, key: Secret, previous: str) -> str:
    content = {
        "number": entry.number,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "remote": entry.remote,
        "request": entry.request,
        "action": entry.action,
        "subject": entry.subject,
        "changes": {name: list(values) for name, values in entry.changes.items()},
    }
    text = json.dumps([previous, content], sort_keys=True, separators=(",", ":"))
    return hmac.new(key.reveal().encode(), text.encode(), hashlib.sha256).hexdigest()
