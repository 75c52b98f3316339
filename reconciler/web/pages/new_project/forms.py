"""What the forms of a new project hold: the source with its credential, what runs, and where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from reconciler.app.first_looks import Found
from reconciler.domain.errors import InvalidInput, ReconcilerError
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import GitScheme
from reconciler.domain.secret import Secret
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.declaring.secrets import SecretDraft, check_secret
from reconciler.ports import GitCredentials

STATEFUL = "stateful:"

_NO_NAME = re.compile("[^a-z0-9]+")
_SEPARATOR = re.compile(r"[,\s]+")
Failed = TypeVar("Failed", bound=ReconcilerError)


@dataclass(frozen=True, slots=True)
class SourceForm:
    """Where the code is, as somebody said it."""

    fields: Mapping[str, str]

    @property
    def is_here(self) -> bool:
        """Whether it is a repository that this daemon keeps."""
        return self.fields.get("where") == "here"

    def draft(self) -> ProjectDraft:
        """Return the project that it declares; unnamed, it is called as its source is.

        Raises:
            InvalidInput: there is nothing that it could be called after.
        """
        where, branch = self.fields.get("where"), self._text("branch")
        field = "image" if where == "image" else "url"
        address = self._text(field) or ""
        name = self._text("name") or _name_of(address if not self.is_here else "")
        if not name:
            raise InvalidInput("name" if address or self.is_here else field, None, "is needed")
        if where == "image":
            return ProjectDraft(name, "image", image=self._text("image"))
        if self.is_here:
            return ProjectDraft(name, "compose", repository=name, branch=branch)
        return ProjectDraft(name, "compose", url=self._text("url") or "", branch=branch)

    def secret(self, project: Project) -> SecretDraft | None:
        """Return the credential that was given for it; None: it needs none."""
        if not isinstance(project.source, ExternalSource):
            return None
        token, key = self.fields.get("token", ""), self.fields.get("ssh_key", "")
        if project.source.url.scheme is GitScheme.SSH:
            return SecretDraft("git-ssh-key", Secret.of(key.replace("\r\n", "\n"))) if key else None
        username = self._text("username") or ""
        return SecretDraft("git-token", Secret.of(token), username) if token else None

    def _text(self, name: str) -> str | None:
        return self.fields.get(name, "").strip() or None


def credentials_of(project: Project, secret: SecretDraft | None) -> GitCredentials | None:
    """Return what the source is shown for a first look, before anything is kept.

    Raises:
        InvalidInput: it is no credential, or none for this source; named after its field.
    """
    if secret is None:
        return None
    is_key = secret.name == "git-ssh-key"
    try:
        origin = check_secret(project, secret)
    except InvalidInput as error:
        field = "username" if error.field == "username" else "ssh_key" if is_key else "token"
        raise InvalidInput(field, None, error.problem) from None
    if is_key:
        return GitCredentials(origin, ssh_key=secret.value)
    return GitCredentials(origin, secret.username, token=secret.value)


def runs_change(project: Project, fields: Mapping[str, str]) -> dict[str, object]:
    """Return what the form says of what runs."""
    if project.image is not None:
        return {name: _listed(fields.get(name, "")) for name in ("ports", "volumes")}
    stateful = (name.removeprefix(STATEFUL) for name in fields if name.startswith(STATEFUL))
    return {
        "compose_path": fields.get("compose_path", "").strip() or None,
        "stateful_services": tuple(stateful),
    }


def reached(project: Project, fields: Mapping[str, str], found: Found) -> Project:
    """Return the project with what people reach, as the compose file that was seen allows it.

    Raises:
        InvalidInput: there is no such service, or it does not listen there.
    """
    name = fields.get("expose_service", "")
    service = next((one for one in found.services if one.name == name), None)
    if service is None:
        known = ", ".join(one.name for one in found.services)
        raise InvalidInput("expose_service", name or None, f"is none of its services: {known}")
    port = _number("expose_port", fields.get("expose_port", ""))
    numbers = sorted({one.number for one in service.ports})
    if numbers and port not in numbers:
        named = ", ".join(map(str, numbers))
        problem = f"is not where {name} listens in the compose file, which names {named}"
        raise InvalidInput("expose_port", port, problem)
    return replace(project, expose_service=service.name, expose_port=port)


def health_change(
    project: Project, fields: Mapping[str, str], found: Found | None
) -> dict[str, object]:
    """Return how its target is asked whether it is well; without a path only its engine is.

    Raises:
        InvalidInput: nobody can tell on which port of the host to ask.
    """
    path, text = fields.get("health_path", "").strip(), fields.get("health_port", "").strip()
    if not path:
        return {"health": None}
    if text:
        return {"health_path": path, "port": _number("health_port", text)}
    port = published_port(project, found) if found else None
    if port is None:
        problem = "is needed: the port of the host that answers, as the file publishes none for it"
        raise InvalidInput("health_port", None, problem)
    return {"health_path": path, "port": port}


def published_port(project: Project, found: Found) -> int | None:
    """Return the host's port behind which the service that people reach is."""
    ports = (
        port.published
        for one in found.services
        if one.name == project.expose_service
        for port in one.ports
        if port.number == project.expose_port
    )
    return next((port for port in ports if port is not None), None)


def at_field(error: Failed, field: str) -> Failed:
    """Return ``error`` as one of this field, unless it names one itself."""
    error.evidence = {"field": field, **error.evidence}
    return error


def _name_of(address: str) -> str:
    """Return what a project is called that nobody named: the last of its address."""
    last = address.rstrip("/").removesuffix(".git").rpartition("/")[2].rpartition(":")
    name = (last[0] or last[2]).partition("@")[0]
    return _NO_NAME.sub("-", name.lower()).strip("-")[:63]


def _number(field: str, text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        raise InvalidInput(field, text or None, "is no port: a number from 1 to 65535")
    return int(text)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, _SEPARATOR.split(text)))
