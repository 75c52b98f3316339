"""Secrets that an operator gives to a project: what each may be, and where it may be sent."""

import base64
import binascii
import re
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.domain.commit_status import find_forge
from reconciler.domain.errors import InvalidInput, InvalidReference, NotFound
from reconciler.domain.forge import parse_forge_token
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import GitScheme, ProjectName
from reconciler.domain.registry_host import parse_registry_host
from reconciler.domain.secret import Secret
from reconciler.ports import SecretRecord, Store

_LONGEST_VALUE_BYTES = 64 * 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_USERNAME = re.compile(
    r"[!-9;-~]{0,255}"
)  # printable ASCII without a colon, which ends it in Basic
_KEY = re.compile(
    r"-----BEGIN OPENSSH PRIVATE KEY-----\n"
    r"(?P<body>[A-Za-z0-9+/=\n]+)\n"
    r"-----END OPENSSH PRIVATE KEY-----\n?"
)
_PUBLIC_KEY = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ AAAA")
#: Source: OpenSSH, ``PROTOCOL.key``: magic, then cipher name as a length-prefixed string.
_KEY_MAGIC = b"openssh-key-v1\0"
_NO_CIPHER = b"\0\0\0\x04none"


@dataclass(frozen=True, slots=True)
class SecretDraft:
    """A secret as it was given."""

    #: ``git-token``, ``git-ssh-key``, ``forge-token``, ``registry:HOST`` or ``variable:NAME``
    name: str
    value: Secret
    username: str = ""
    bound_to: str | None = None  #: what the caller thinks it will be sent to; None: does not say


def put_secret(store: Store, name: ProjectName, draft: SecretDraft, now: datetime) -> SecretRecord:
    """Store or replace a secret of a project; a variable that changed grows its generation.

    Raises:
        NotFound: no such project.
        InvalidInput: name, value or place is wrong; the value is never shown.
    """
    project = store.get_project(name)
    bound_to = check_secret(project, draft)
    before = _find(store, name, draft.name)
    record = store.put_secret(
        name, draft.name, draft.value, bound_to=bound_to, username=draft.username, now=now
    )
    if draft.name.startswith("variable:"):
        _note_variable(store, project, before, record, now)
    return record


def check_secret(project: Project, draft: SecretDraft) -> str:
    """Return the origin or host that the secret will be sent to; empty for a variable.

    Raises:
        InvalidInput: name, value or place is wrong; the value is never shown.
    """
    _check_value(draft.value)
    bound_to = _binding(project, draft)
    if draft.bound_to is not None and draft.bound_to != bound_to:
        raise InvalidInput(
            "bound_to", draft.bound_to, f"is not where it is sent to: {bound_to or 'nowhere'}"
        )
    if not _USERNAME.fullmatch(draft.username):
        raise InvalidInput(
            "username", draft.username, "must be printable ASCII without spaces or colons"
        )
    return bound_to


def remove_secret(store: Store, name: ProjectName, secret: str, now: datetime) -> None:
    """Delete a secret of a project.

    Raises:
        NotFound: no such project or secret.
        InvalidInput: not the name of a secret.
    """
    project = store.get_project(name)
    parse_secret_name(secret)
    if _find(store, name, secret) is None:
        raise NotFound(f"{name} has no secret {secret}")
    if secret.startswith("variable:"):
        # First, so that a kill between the two causes a needless deployment, not a missing one.
        after = replace(project, generation=project.generation + 1, updated_at=now)
        store.update_project(after, project)
    store.remove_secret(name, secret)


def parse_secret_name(text: str) -> tuple[str, str]:
    """Return the family (what stands before a colon) and the subject (what stands behind it).

    Raises:
        InvalidInput: none of the five, or no registry host or variable name in it.
    """
    family, colon, subject = text.partition(":")
    if family in {"git-token", "git-ssh-key", "forge-token"} and not colon:
        return family, ""
    if family == "registry":
        return family, _parse_secret_host(subject)
    if family == "variable":
        if not _VARIABLE.fullmatch(subject):
            problem = "must name a variable of letters, digits and '_', like variable:DATABASE_URL"
            raise InvalidInput("secret", text, problem)
        return family, subject
    known = "git-token, git-ssh-key, forge-token, registry:HOST or variable:NAME"
    raise InvalidInput("secret", text, f"must be {known}")


def _parse_secret_host(text: str) -> str:
    try:
        return parse_registry_host(text)
    except InvalidReference:
        problem = "must name a registry host, like registry:registry.example:5000, in lower case"
        raise InvalidInput("secret", f"registry:{text}", problem) from None


def _binding(project: Project, draft: SecretDraft) -> str:
    """Return the origin or host that the secret is sent to; empty for a variable."""
    family, subject = parse_secret_name(draft.name)
    if family in {"variable", "forge-token"} and draft.username:
        problem = f"does not belong to a {family}; leave it out"
        raise InvalidInput("username", draft.username, problem)
    if family == "variable":
        return ""
    if family == "forge-token":
        parse_forge_token(draft.value.reveal(), "value")
        return find_forge(project).origin
    if family == "registry":
        if not draft.username:
            raise InvalidInput("username", draft.username, "is needed for a registry")
        return subject
    scheme = GitScheme.SSH if family == "git-ssh-key" else GitScheme.HTTPS
    if not isinstance(project.source, ExternalSource) or project.source.url.scheme is not scheme:
        problem = f"needs a project whose url starts with {scheme}://"
        raise InvalidInput("secret", draft.name, problem)
    if family == "git-ssh-key":
        check_ssh_key(draft.value)
    return project.source.url.origin


def _check_value(value: Secret) -> None:
    text = value.reveal()
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInput("value", "…", "is not text") from None
    if not text or "\0" in text:
        raise InvalidInput("value", "…", "must be text without NUL, and not empty")
    if size > _LONGEST_VALUE_BYTES:
        raise InvalidInput("value", f"{size} bytes", f"are more than {_LONGEST_VALUE_BYTES}")


def check_ssh_key(value: Secret) -> None:
    """Refuse what is no OpenSSH private key without a passphrase. Raises ``InvalidInput``."""
    _check_value(value)
    if problem := _problem_of_key(value.reveal().replace("\r\n", "\n")):
        raise InvalidInput("value", None, problem)


def _problem_of_key(text: str) -> str:
    if _PUBLIC_KEY.match(text):
        return "is a public key; the private one is in the file beside it, without .pub"
    match = _KEY.fullmatch(text)
    try:
        body = base64.b64decode(match["body"].replace("\n", ""), validate=True) if match else b""
    except binascii.Error:
        body = b""
    if not body.startswith(_KEY_MAGIC):
        return "is not an OpenSSH private key; make one with `ssh-keygen -t ed25519 -N ''`"
    if not body.startswith(_KEY_MAGIC + _NO_CIPHER):
        return (
            "is a key with a passphrase, and nobody is there to type it; "
            "`ssh-keygen -p -N '' -f COPY` takes it off a copy"
        )
    return ""


def _find(store: Store, project: ProjectName, name: str) -> SecretRecord | None:
    return next((record for record in store.list_secrets(project) if record.name == name), None)


def _note_variable(
    store: Store, project: Project, before: SecretRecord | None, after: SecretRecord, now: datetime
) -> None:
    """Grow the generation if the variable changed, or a kill kept an earlier change from it.

    ``updated_at`` of the project is never older than its variables' but after such a kill.
    """
    changed = before is None or before.fingerprint != after.fingerprint
    left_over = before is not None and before.updated_at > project.updated_at
    generation = project.generation + (1 if changed or left_over else 0)
    store.update_project(replace(project, generation=generation, updated_at=now), project)
