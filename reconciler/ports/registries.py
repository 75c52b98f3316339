"""Container registries: the digests behind tags, and what is known of an image."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.domain.failure import Failure
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """What one registry host is shown, or its token server on its behalf."""

    host: str
    username: str
    password: Secret
    identity_token: bool = False  #: ``password`` is an OAuth2 refresh token


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """How one registry host fares, for status and health."""

    host: str
    reachable: bool | None  #: whether it answered last time; None before it was asked
    error: str  #: what its last look-up failed of; empty after one that did not
    cooling_until: datetime | None  #: it asked to be left alone until then
    limit: int | None  #: pulls in its window, as its ``ratelimit-limit`` says
    limit_remaining: int | None  #: as its last ``ratelimit-remaining`` said
    requests_sent: int  #: since the start, token requests included
    limit_window: timedelta | None = None  #: for how long a pull counts, where it says that


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a registry tells of one exact image; None where it does not say."""

    size_bytes: int | None = None  #: of its layers, as they are sent
    created_at: datetime | None = None


class ImageRegistry(Protocol):
    """Container registries, over the OCI distribution API."""

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        """Return the digest behind the image's tag now: of its index where it has one.

        Args:
            image: what to look up; its own digest, if any, plays no part.
            project: whose stored credentials may be used.

        Raises:
            RevisionNotFound: no such repository or tag.
            SourceThrottled: the host is cooling down; nothing was sent if it was before.
            SourceError: anything else, within 30 s.
        """
        ...

    def holds(self, image: ImageReference, project: ProjectName | None = None) -> bool:
        """Tell whether the registry has the manifest that the image's digest names.

        Args:
            image: what to look up, with a digest; its tag, if any, plays no part.
            project: whose stored credentials may be used.

        Raises:
            SourceThrottled, SourceError: as ``digest``, but for what is not there.
        """
        ...

    def describe(
        self,
        image: ImageReference,
        digest: Digest,
        platform: str,
        project: ProjectName | None = None,
    ) -> ImageFacts:
        """Return what is known of the image of that digest; some registries count it as a pull.

        Of one that is gone nothing is known.

        Args:
            image: whose repository is asked.
            digest: of its manifest, or of its index.
            platform: which one of an index, e.g. ``linux/amd64``.
            project: as ``digest``.

        Raises:
            SourceError: as ``digest``.
        """
        ...

    def probe(self, host: str) -> Failure | None:
        """Ask ``/v2/``: None if it answers 200 or 401, else what is wrong. Never raises."""
        ...


class IndexedRegistry(ImageRegistry, Protocol):
    """Registries that are asked what an index is made of, too."""

    def parts(self, image: ImageReference, project: ProjectName | None = None) -> frozenset[Digest]:
        """Return the images that the index of that digest is made of; none where it is no index.

        What a digest is made of never changes: the answer may be kept. Some registries count it
        as a pull.

        Args:
            image: what to look up, with a digest; its tag, if any, plays no part.
            project: as ``digest``.

        Raises:
            RevisionNotFound: there is no such manifest any more. ``SourceError``: as ``digest``.
        """
        ...
