"""Deliveries as lists of them show them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from reconciler.domain.webhook_signature import Verdict
from reconciler.web.pages.words import (
    ACCEPTED,
    IGNORED,
    REFUSED_DELIVERY,
    SEEN_BEFORE,
    Badge,
)
from reconciler.web.schemas.webhooks import DeliveryBody

_DEPLOYMENT = re.compile(r"\bdeployment (\d{1,10})\b")
#: Why one does not count → what helps.
WHY_REFUSED: Mapping[Verdict, tuple[str, str]] = {
    Verdict.MISSING: ("no signature", "enter the webhook’s secret at the forge"),
    Verdict.MALFORMED: (
        "a signature of another form",
        "look whether the webhook was declared for this kind of forge",
    ),
    Verdict.WRONG: ("bad signature", "the forge has another secret: give both a new one"),
    Verdict.OUT_OF_TIME: (
        "its time is too far off",
        "look at the clocks of the forge and of this machine",
    ),
    Verdict.NOT_JSON: (
        "it was sent as a form",
        "set the webhook’s content type to application/json at the forge",
    ),
}


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a delivery led to for one project."""

    project: str
    text: str  #: what looking at it gave
    deployment: int | None  #: the one that it names


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery."""

    body: DeliveryBody
    badge: Badge
    why: str  #: it was not taken, or nothing follows of it; empty where something does
    remedy: str
    led_to: tuple[Consequence, ...]
    may_open: bool  #: whether whoever looks may see it on its own

    @property
    def address(self) -> str:
        """Where it is shown on its own."""
        return f"/webhooks/{self.body.webhook}/deliveries/{self.body.number}"

    @property
    def can_repeat(self) -> bool:
        """Whether there is anything to look at again."""
        return self.body.verified and self.body.announces is not None

    @classmethod
    def of(cls, body: DeliveryBody, *, may_open: bool = True) -> Self:
        """Return the row of one."""
        why, remedy = WHY_REFUSED.get(Verdict(body.verdict), ("", ""))
        led_to = tuple(_consequence(*one) for one in sorted(body.led_to.items()))
        return cls(body, _badge(body), why or body.note or "", remedy, led_to, may_open)


def _badge(body: DeliveryBody) -> Badge:
    if not body.verified:
        return REFUSED_DELIVERY
    if body.led_to:
        return SEEN_BEFORE if body.duplicate else ACCEPTED
    return IGNORED


def _consequence(project: str, text: str) -> Consequence:
    named = _DEPLOYMENT.search(text)
    return Consequence(project, text, int(named[1]) if named else None)
