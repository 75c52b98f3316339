"""What came of what a person did, as the store has it when the page is shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.domain.errors import InvalidInput
from reconciler.pipeline.declaring.projects import notes_on
from reconciler.pipeline.declaring.secrets import parse_secret_name
from reconciler.web.pages.project_settings.overview import SettingsView
from reconciler.web.pages.project_settings.sections import SECTIONS


@dataclass(frozen=True, slots=True)
class Note:
    """What is said, and at which section."""

    section: str
    title: str
    text: str = ""
    kind: str = "ok"  #: ok, hold or fail


def note_on(view: SettingsView, query: Mapping[str, str]) -> Note | None:
    """Return what the address asks to be told; None: nothing."""
    tell = _TOLD.get(query.get("did", ""))
    return tell(view, query.get("of", ""), query) if tell else None


def _saved(view: SettingsView, section: str, query: Mapping[str, str]) -> Note | None:
    if section not in SECTIONS:
        return None
    kept = {one.record.name for one in view.secrets}
    dropped = query.get("dropped", "")
    text = " ".join(f"{one[0].upper()}{one[1:]}." for one in notes_on(view.project))
    if dropped in {"git-token", "git-ssh-key", "forge-token"} and dropped not in kept:
        text = f"The secret {dropped} was dropped: it was for another host. {text}"
    return Note(section, "Saved: this is what is declared now.", text, "hold" if text else "ok")


def _same(view: SettingsView, section: str, _: Mapping[str, str]) -> Note | None:
    del view
    return Note(section, "Nothing was changed.", kind="off") if section in SECTIONS else None


def _target(view: SettingsView, host: str, _: Mapping[str, str]) -> Note | None:
    hosts = {one.target.host for one in view.targets}
    if host in hosts:
        return Note(
            "targets", f"The target on {host} is as shown.", "The next deployment applies it."
        )
    if not _is_host(host):
        return None
    text = "What runs there goes on, and is no longer looked after."
    return Note("targets", f"There is no target on {host} any more.", text)


def _secret(view: SettingsView, name: str, _: Mapping[str, str]) -> Note | None:
    found = next((one for one in view.secrets if one.record.name == name), None)
    if found is None:
        return None
    return Note("secrets", f"{found.title} is stored.", f"Its fingerprint begins {found.mark}.")


def _secret_removed(view: SettingsView, name: str, _: Mapping[str, str]) -> Note | None:
    if any(one.record.name == name for one in view.secrets) or not _is_secret(name):
        return None
    return Note("secrets", f"There is no secret {name} any more.", "What runs keeps what it has.")


def _webhook(view: SettingsView, name: str, query: Mapping[str, str]) -> Note | None:
    found = next((one for one in view.webhooks if one.name == name and one.own), None)
    if found is None:
        return None
    registration = found.record.registration
    if registration is None:
        text = f"Its secret’s fingerprint begins {found.mark}."
        return Note("webhooks", f"The webhook {name} takes what is sent to it.", text)
    text = _TESTED.get(query.get("tested", ""), "")
    title = f"The forge sends pushes of {registration.repository.path} here."
    return Note("webhooks", title, text, "hold" if query.get("tested") == "failed" else "ok")


def _webhook_removed(view: SettingsView, name: str, _: Mapping[str, str]) -> Note | None:
    if any(one.name == name for one in view.webhooks) or not _is_host(name):
        return None
    text = "What a forge still sends to it is answered with 404."
    return Note("webhooks", f"There is no webhook {name} any more.", text)


def _is_secret(text: str) -> bool:
    """Tell whether one may be called so: the address may be anybody's words."""
    try:
        parse_secret_name(text)
    except InvalidInput:
        return False
    return True


def _is_host(text: str) -> bool:
    return (
        0 < len(text) <= 63 and text.isascii() and text.replace("-", "").replace(".", "").isalnum()
    )


_TESTED = {
    "sent": "It was asked to send a test, which stands below once it arrived.",
    "not-possible": "Its API has no test: push something.",
    "failed": "It could not be made to send a test: push something.",
}
_TOLD: Mapping[str, Callable[[SettingsView, str, Mapping[str, str]], Note | None]] = {
    "saved": _saved,
    "same": _same,
    "target": _target,
    "secret": _secret,
    "secret-removed": _secret_removed,
    "webhook": _webhook,
    "webhook-removed": _webhook_removed,
}
