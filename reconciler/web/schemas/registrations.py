"""Bodies of what is registered at forges."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict

from reconciler.domain.forge import REGISTRABLE, Registration
from reconciler.pipeline.declaring.registration import RegistrationDraft
from reconciler.web.schemas.body import AT, Answer, Asked, said


class NewRegistration(Asked):
    """A project's webhook to register at its forge."""

    model_config = ConfigDict(hide_input_in_errors=True)

    token: str = said(
        "Access token of the forge; used for this one request, and kept nowhere.",
        "gta_9f8e7d6c5b4a",
        repr=False,
    )
    name: str | None = said("Name of the webhook; null: that of the project.", "shop", default=None)
    provider: str | None = said(
        f"Which forge it is: {', '.join(REGISTRABLE)}; null: as github.com and gitlab.com tell.",
        "forgejo",
        default=None,
    )
    url: str | None = said(
        "By which address the forge reaches this daemon; null: public_url.",
        "https://deploy.example.com",
        default=None,
    )
    forge_url: str | None = said(
        "Address of the forge; null: that of the project's source, over https.",
        "https://git.example.com",
        default=None,
    )
    test: bool = said("Whether the forge is to send a test now.", True, default=True)

    def draft(self) -> RegistrationDraft:
        """Return what was asked for."""
        return RegistrationDraft(
            self.token, self.name, self.provider, self.url, self.forge_url, self.test
        )


class ForgeToken(Asked):
    """Who we are at the forge, for one request."""

    model_config = ConfigDict(hide_input_in_errors=True)

    token: str = said("Access token of the forge; kept nowhere.", "gta_9f8e7d6c5b4a", repr=False)


class RegistrationBody(Answer):
    """At which forge a webhook was registered from here."""

    api: str = said("Address of the forge's API.", "https://git.example.com/api/v1")
    repository: str = said("As the forge names it.", "team/shop")
    hook: str = said("The forge's own id of it.", "17")
    url: str = said("Where the forge sends to.", "https://deploy.example.com/webhook/shop")
    at: datetime = said("When it was registered, or brought up to date, last.", AT)

    @classmethod
    def of(cls, registration: Registration) -> Self:
        """Return the body of ``registration``."""
        return cls(
            api=registration.repository.api,
            repository=registration.repository.path,
            hook=registration.hook,
            url=registration.url,
            at=registration.at,
        )
