"""Bodies of projects' secrets."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict

from reconciler.ports import SecretRecord
from reconciler.web.schemas.body import AT, Answer, Asked, next_page, said


class SecretBody(Answer):
    """What may be shown of a stored secret."""

    name: str = said(
        "git-token, git-ssh-key, forge-token, registry:HOST or variable:NAME.",
        "registry:registry.example",
    )
    fingerprint: str = said("Tells equal from different, no more.", "5f0c2b1a")
    bound_to: str | None = said(
        "Origin or host that it is sent to; null for a variable.", "registry.example"
    )
    username: str | None = said("The user name that goes with it.", "robot")
    updated_at: datetime = said("When it was stored.", AT)

    @classmethod
    def of(cls, record: SecretRecord) -> Self:
        """Return the body of ``record``."""
        return cls(
            name=record.name,
            fingerprint=record.fingerprint,
            bound_to=record.bound_to or None,
            username=record.username or None,
            updated_at=record.updated_at,
        )


class SecretList(Answer):
    """By name."""

    items: list[SecretBody] = said("The secrets, without their values.", [])
    next: str | None = next_page()


class NewSecret(Asked):
    """A secret to store. It is never shown again."""

    model_config = ConfigDict(hide_input_in_errors=True)

    value: str = said("The secret itself, at most 64 KiB.", "s3cret", repr=False)
    username: str = said(
        "The user name that goes with it; needed for a registry.", "robot", default=""
    )
    bound_to: str | None = said(
        "Where you think it is sent to; refused if that is not so. Null: where it belongs.",
        "https://git.example",
        default=None,
    )
