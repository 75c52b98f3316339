"""Secrets, in words: which kinds there are, what each is for, and what a project can use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import GitScheme


@dataclass(frozen=True, slots=True)
class SecretKind:
    """One kind of secret."""

    key: str  #: its name, or what stands before the colon in it
    title: str
    about: str
    value: str  #: label of the secret itself
    usable: Callable[[Project], bool]
    subject: str = ""  #: label of what stands behind the colon; empty: nothing does
    user: str = ""  #: label of the user name that goes with it; empty: none does
    needs_user: bool = False
    is_long: bool = False  #: whether it has lines


def _over(scheme: GitScheme) -> Callable[[Project], bool]:
    return lambda project: (
        isinstance(project.source, ExternalSource) and project.source.url.scheme is scheme
    )


KINDS = (
    SecretKind(
        "git-token",
        "Token for git",
        "Reads the repository over https. It is sent to the host of the source, and nowhere else.",
        "Token",
        _over(GitScheme.HTTPS),
        user="User",
    ),
    SecretKind(
        "git-ssh-key",
        "SSH key for git",
        "Reads the repository over ssh: a private key without a passphrase.",
        "Private key",
        _over(GitScheme.SSH),
        is_long=True,
    ),
    SecretKind(
        "forge-token",
        "Token for the forge",
        "Tells the forge how each commit fares.",
        "Token",
        lambda project: isinstance(project.source, ExternalSource),
    ),
    SecretKind(
        "registry",
        "Registry credential",
        "Looks up and pulls images there.",
        "Password or token",
        lambda project: project.kind.runs_containers,
        subject="Registry, as images name it",
        user="User",
        needs_user=True,
    ),
    SecretKind(
        "variable",
        "Variable",
        "What runs gets it in its environment. A new value is a new thing to deploy.",
        "Value",
        lambda project: project.kind.deployable,
        subject="Name of the variable",
        is_long=True,
    ),
)


def kind_of(name: str) -> SecretKind | None:
    """Return which kind a secret of this name is, or of; None: there is none of that name."""
    family = name.partition(":")[0]
    return next((kind for kind in KINDS if kind.key == family), None)


def kinds_of(project: Project) -> Sequence[SecretKind]:
    """Return those that ``project`` can use."""
    return [kind for kind in KINDS if kind.usable(project)]


def title_of(name: str) -> str:
    """Return what a secret is: ``Registry credential for registry.example``, ``Variable PORT``."""
    kind, subject = kind_of(name), name.partition(":")[2]
    if kind is None or not subject:
        return kind.title if kind else name
    return f"{kind.title} for {subject}" if kind.key == "registry" else f"{kind.title} {subject}"
