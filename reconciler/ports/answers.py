"""Answers that were given, so that a request that comes again is not carried out again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from reconciler.domain.secret import Secret

_EMPTY = Secret.of("")


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """By what a request is known when it comes again."""

    principal: str  #: who asks; nobody gets to see what another was answered
    key: str  #: which they chose


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What a request was answered, or that it is still being worked on."""

    request: str  #: hash of all that was asked; empty: that was another request
    begun_at: datetime
    status: int | None = None  #: None: it is being worked on
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Secret = _EMPTY  #: may hold what is shown once


class AnswerStore(Protocol):
    """The answers of the last day."""

    def begin_answer(self, key: AnswerKey, request: str, now: datetime) -> GivenAnswer | None:
        """Take ``key`` for a request that is carried out from now on; return None.

        Where it is taken already, return by what. One that the same request took long ago without
        an answer is taken over: who worked on it is no more.
        """
        ...

    def keep_answer(self, key: AnswerKey, answer: GivenAnswer) -> None:
        """Record what was answered, unless another has taken the work over."""
        ...

    def drop_answer(self, key: AnswerKey, begun_at: datetime) -> None:
        """Let go of a key whose request may be carried out again."""
        ...
