"""Names of things that live elsewhere. Parsed once at the border, trusted from then on."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Self
from urllib.parse import urlsplit

from reconciler.domain.errors import InvalidInput, InvalidReference

ProjectName = NewType("ProjectName", str)
ServiceName = NewType("ServiceName", str)
#: A path inside a repository: relative, forward slashes, no ``..``.
RepositoryPath = NewType("RepositoryPath", str)

_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,199}")
_PATH_SEGMENT = re.compile(r"[A-Za-z0-9._@+ -]{1,255}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_GIT_PATH = re.compile(r"[A-Za-z0-9._~][A-Za-z0-9._~/+@-]{0,1022}")
_SCP = re.compile(r"(?P<user>[^@/:]+)@(?P<host>[^@/:]+):(?P<path>[^:]+)")
_DOMAIN = re.compile(
    r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:]{2,39}\])(?::(?P<port>[0-9]{1,5}))?"
)
_IMAGE_PATH = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
#: Would be an image's own id, which names no repository.
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


def parse_project_name(text: str, field: str = "name") -> ProjectName:
    """Return ``text`` as a project name, which is also its compose project name.

    Raises:
        InvalidReference: not 1 to 63 of a–z, 0–9 and ``-``, starting with a letter or digit.
    """
    if not _PROJECT.fullmatch(text):
        raise InvalidReference(
            field, text, "must be 1 to 63 of a-z, 0-9 and '-', not starting with '-'"
        )
    return ProjectName(text)


def parse_service_name(text: str, field: str = "service") -> ServiceName:
    """Return ``text`` as the name of a compose service.

    Raises:
        InvalidReference: see the Compose specification, "services top-level element".
    """
    if not _SERVICE.fullmatch(text):
        raise InvalidReference(field, text, "must be 1 to 128 of letters, digits, '.', '_' and '-'")
    return ServiceName(text)


def parse_declared_service(value: object, field: str) -> ServiceName | None:
    """Return ``value``, which nobody has checked yet, as a service; None where there is none.

    Raises:
        InvalidInput: it is no text. ``InvalidReference``: it names no service.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput(field, None, "must be the name of a service")
    return parse_service_name(value, field)


def parse_repository_path(text: str, field: str = "path") -> RepositoryPath:
    """Return ``text`` as a path inside a repository.

    Raises:
        InvalidReference: absolute, empty, leaving the repository, or with odd characters.
    """
    segments = text.split("/")
    plain = len(text) <= 1024 and text == text.strip()
    if not plain or not all(_PATH_SEGMENT.fullmatch(segment) for segment in segments):
        raise InvalidReference(
            field, text, "must be a path inside the repository like 'deploy/api'"
        )
    if any(segment in {".", "..", ".git"} for segment in segments) or text.startswith("-"):
        raise InvalidReference(field, text, "must stay inside the repository")
    return RepositoryPath(text)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The content address of an image manifest or index: ``sha256:`` and 64 hex digits.

    Source: OCI image-spec, ``descriptor.md``, "Digests".
    """

    text: str

    @classmethod
    def parse(cls, text: str, field: str = "digest") -> Self:
        """Return the digest named by ``text``.

        Raises:
            InvalidReference: not a canonical sha256 digest.
        """
        if not _SHA256.fullmatch(text):
            raise InvalidReference(field, text, "is not a digest (sha256: and 64 hex digits)")
        return cls(text)

    @property
    def short(self) -> str:
        """The first 12 hex digits, as `docker` shows them."""
        return self.text[7:19]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class CommitSha:
    """A full git object id: 40 (SHA-1) or 64 (SHA-256) hex digits."""

    text: str

    @classmethod
    def parse(cls, text: str, field: str = "commit") -> Self:
        """Return the commit named by ``text``.

        Raises:
            InvalidReference: abbreviated, or not lower-case hex.
        """
        if not _COMMIT.fullmatch(text):
            raise InvalidReference(field, text, "is not a full commit id (40 or 64 hex digits)")
        return cls(text)

    @property
    def short(self) -> str:
        """The first 8 hex digits."""
        return self.text[:8]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class BranchName:
    """A branch, without ``refs/heads/``. Narrower than `git check-ref-format` on purpose."""

    text: str

    @classmethod
    def parse(cls, text: str, field: str = "branch") -> Self:
        """Return the branch named by ``text``.

        Raises:
            InvalidReference: not a name that git and we both accept.
        """
        bad_part = any(
            not part or part.startswith((".", "-")) or part.endswith(".lock")
            for part in text.split("/")
        )
        if (
            not _BRANCH.fullmatch(text)
            or bad_part
            or ".." in text
            or "@{" in text
            or text.endswith(".")
        ):
            raise InvalidReference(field, text, "is not a branch name like 'main' or 'release/1.2'")
        return cls(text)

    @property
    def ref(self) -> str:
        """The full ref, ``refs/heads/…``, which is what is asked for and compared."""
        return f"refs/heads/{self.text}"

    def __str__(self) -> str:
        return self.text


_CREDENTIALS = "store credentials with `reconciler secret set`"


class GitScheme(StrEnum):
    """The transports that we speak. ``http`` carries no credentials."""

    HTTPS = "https"
    HTTP = "http"
    SSH = "ssh"


@dataclass(frozen=True, slots=True)
class GitUrl:
    """Where an external repository lives. Never holds a password."""

    scheme: GitScheme
    host: str
    port: int | None
    user: str | None  #: SSH login; None over HTTP
    path: str  #: without leading slash; ``~`` forms are kept

    @classmethod
    def parse(cls, text: str, field: str = "url", credentials: str = _CREDENTIALS) -> Self:
        """Return the URL in its canonical form; ``git@host:path`` is SSH.

        Args:
            text: the URL.
            field: that it is the value of.
            credentials: where they belong, as they must not be in it.

        Raises:
            InvalidReference: another scheme, a password, a query, or a path that leaves its root.
        """
        if match := _SCP.fullmatch(text):
            text = f"ssh://{match['user']}@{match['host']}/{match['path'].lstrip('/')}"
        if len(text) > 2048 or not text.isprintable() or "\\" in text or "%" in text:
            raise InvalidReference(field, text, "is not a plain https:// or ssh:// URL")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise InvalidReference(field, text, "is not a URL") from None
        if parts.scheme not in set(GitScheme):
            raise InvalidReference(
                field, text, "must start with https:// or ssh:// (or be git@host:path)"
            )
        if parts.query or parts.fragment or parts.password is not None:
            raise InvalidReference(
                field,
                f"{parts.scheme}://{parts.hostname}/…",
                f"must hold no password, query or fragment; {credentials}",
            )
        scheme = GitScheme(parts.scheme)
        user = parts.username
        if scheme is not GitScheme.SSH and user is not None:
            raise InvalidReference(
                field, f"{scheme}://{parts.hostname}/…", f"must hold no user name; {credentials}"
            )
        path = parts.path.lstrip("/").rstrip("/")
        host_ok = parts.hostname is not None and _HOST.fullmatch(parts.hostname)
        user_ok = user is None or _USER.fullmatch(user)
        path_ok = _GIT_PATH.fullmatch(path) and not {"", ".", ".."} & set(path.split("/"))
        if not (host_ok and user_ok and path_ok) or port == 0:
            raise InvalidReference(field, text, "is not a URL like https://host/team/app.git")
        assert parts.hostname is not None  # noqa: S101  for the type checker: host_ok says so
        default_user = "git" if scheme is GitScheme.SSH else None
        return cls(scheme, parts.hostname.lower(), port, user or default_user, path)

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a credential is bound to."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port else "")

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{user}{self.host}{port}/{self.path}"


#: Docker Hub, as people write it; ``index.docker.io`` and where its API lives mean the same.
DOCKER_HUB = "docker.io"

_LONGEST_IMAGE_PATH = 255


def _is_domain(text: str) -> bool:
    match = _DOMAIN.fullmatch(text)
    return match is not None and len(text) <= 255 and 0 < int(match["port"] or "443") <= 65535


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image as Docker resolves its name: registry, repository, and tag or digest.

    Source: distribution/reference, ``normalize.go``: without a dot, colon or ``localhost`` in its
    first part a name belongs to Docker Hub; without a slash to its ``library/``.
    """

    registry: str
    repository: str
    tag: str | None  #: None only where a digest stands without a tag
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str, field: str = "image") -> Self:
        """Return the image named by ``text``; a missing tag is ``latest``.

        Raises:
            InvalidReference: not a name that an engine accepts.
        """
        problem = "is not an image name like 'registry.example/team/app:1.2'"
        if len(text) > 512:
            raise InvalidReference(field, text, problem)
        name, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text, field) if at else None
        first, slash, rest = name.partition("/")
        if slash and (set(".:") & set(first) or first == "localhost"):
            registry, remainder = first, rest
        else:
            registry, remainder = DOCKER_HUB, name
        repository, colon, tag = remainder.partition(":")
        domain_ok = _is_domain(registry) and not _IMAGE_ID.fullmatch(remainder)
        registry = registry.lower()
        if registry in {DOCKER_HUB, "index.docker.io", "registry-1.docker.io"}:
            registry = DOCKER_HUB
            repository = repository if "/" in repository else f"library/{repository}"
        path_ok = len(repository) <= _LONGEST_IMAGE_PATH and _IMAGE_PATH.fullmatch(repository)
        tag_ok = bool(_TAG.fullmatch(tag)) if colon else True
        if not (domain_ok and path_ok and tag_ok):
            raise InvalidReference(field, text, problem)
        return cls(registry, repository, tag if colon else None if digest else "latest", digest)

    @property
    def name(self) -> str:
        """``registry/repository``, without tag or digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The name as short as engines print it."""
        return str(self).removeprefix(f"{DOCKER_HUB}/library/").removeprefix(f"{DOCKER_HUB}/")

    def pinned_to(self, digest: Digest) -> str:
        """Return the name that an engine runs at exactly ``digest``, with its tag kept readable."""
        return f"{self.name}{f':{self.tag}' if self.tag else ''}@{digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")
