"""Which digest is behind a tag, and what image that is, asked of the image's registry."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler.adapters.registry.errors import error_for
from reconciler.adapters.registry.facts import Fetch, facts_of, parts_of
from reconciler.adapters.registry.hosts import HostLedger, OnCooling
from reconciler.adapters.registry.tokens import RealmPolicy, is_loopback
from reconciler.domain.errors import (
    InvalidReference,
    ReconcilerError,
    RevisionNotFound,
    SourceDenied,
    SourceError,
    SourceProtocolError,
)
from reconciler.domain.failure import Failure
from reconciler.domain.references import DOCKER_HUB, Digest, ImageReference, ProjectName
from reconciler.domain.state import RegistryTrouble
from reconciler.ports import (
    UNMETERED,
    Clock,
    ImageFacts,
    Metering,
    RegistryCredentials,
    RegistryStatus,
)

if TYPE_CHECKING:
    import requests

    from reconciler.adapters.registry.client import GuardedRegistry
    from reconciler.adapters.registry.exchange import Endpoint, Shared

#: The digest depends on these and their order must not change: a registry converts to what is
#: accepted. Indexes first, so that a multi-architecture image has one digest.
MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}
#: Answers to a HEAD that say nothing about the image, but about HEAD.
_HEAD_UNKNOWN = frozenset({400, 405, 501})
#: Old registries convert to it what they don't know; its digest is not the image's.
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
#: Docker Hub's API lives under another name than its images' (distribution/reference).
_HUB_API = "registry-1.docker.io"
_MOST_CLIENTS = 4096

#: Takes a registry host and a project; returns whom to be there, None for nobody in particular.
CredentialFinder = Callable[[str, ProjectName | None], RegistryCredentials | None]


class OrasRegistry:
    """``ImageRegistry`` over oras. Threads may share it; it remembers tokens and what hosts said.

    Args:
        clock: time.
        find_credentials: see ``CredentialFinder``; asked for each look-up.
        insecure_hosts: spoken to without TLS, besides this machine itself.
        tls_hosts: of this machine, and yet spoken to with TLS.
        approved_realms: (registry host, token server host) that belong together.
        ca_bundle: PEM file of authorities to trust besides the machine's own.
        time_limit: for one look-up, whatever it takes.
        on_cooling: told of each registry that asks to be left alone.
    """

    def __init__(  # noqa: PLR0913  all but two have a default that nobody has to know
        self,
        clock: Clock,
        find_credentials: CredentialFinder,
        *,
        insecure_hosts: Iterable[str] = (),
        tls_hosts: Iterable[str] = (),
        approved_realms: Iterable[tuple[str, str]] = (),
        ca_bundle: Path | None = None,
        time_limit: timedelta = timedelta(seconds=30),
        on_cooling: OnCooling = lambda _: None,
    ) -> None:
        self._clock = clock
        self._find_credentials = find_credentials
        self._insecure_hosts = frozenset(insecure_hosts)
        self._tls_hosts = frozenset(tls_hosts)
        self._realms = RealmPolicy(frozenset(approved_realms))
        self._ca_bundle = ca_bundle
        self._time_limit = time_limit
        self.metering: Metering = UNMETERED
        self._ledger = HostLedger(clock, on_cooling)
        self._lock = threading.Lock()
        self._shared: Shared | None = None
        self._clients: OrderedDict[object, GuardedRegistry] = OrderedDict()

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        """Return the digest behind the image's tag now; see ``ImageRegistry``."""
        if image.tag is None:
            raise InvalidReference(
                "image", str(image), "has no tag whose digest could be looked up"
            )
        with self._asking(image, project) as client:
            return self._look_up(image, image.tag, client)

    def holds(self, image: ImageReference, project: ProjectName | None = None) -> bool:
        """Tell whether the registry has what the image's digest names; see ``ImageRegistry``."""
        if image.digest is None:
            raise InvalidReference("image", str(image), "has no digest that could be looked up")
        try:
            with self._asking(image, project) as client:
                return self._look_up(image, str(image.digest), client) == image.digest
        except RevisionNotFound:
            return False

    def describe(
        self,
        image: ImageReference,
        digest: Digest,
        platform: str,
        project: ProjectName | None = None,
    ) -> ImageFacts:
        """Return what is known of the image of that digest; see ``ImageRegistry``."""
        with self._asking(image, project) as client:
            try:
                return facts_of(self._fetch(image, client), digest, platform)
            except RevisionNotFound:  # registries tidy up what no tag names any more
                return ImageFacts()

    def parts(self, image: ImageReference, project: ProjectName | None = None) -> frozenset[Digest]:
        """Return the images that an index is made of; see ``ImageRegistry``."""
        if image.digest is None:
            raise InvalidReference("image", str(image), "has no digest that could be looked up")
        with self._asking(image, project) as client:
            return parts_of(self._fetch(image, client), image.digest)

    def probe(self, host: str) -> Failure | None:
        """Ask ``/v2/``: None if it answers 200 or 401, else what is wrong. Never raises."""
        try:
            self._probe(_parse_host(host))
        except ReconcilerError as error:
            return Failure.of(error)
        return None

    def status(self) -> Sequence[RegistryStatus]:
        """Return how each host fares that was asked since the start, by name."""
        return self._ledger.status()

    def recall(self, trouble: RegistryTrouble) -> None:
        """Leave a registry alone that asked an earlier life of the daemon for that."""
        self._ledger.recall(trouble)

    @contextmanager
    def _asking(
        self, image: ImageReference, project: ProjectName | None
    ) -> Iterator["GuardedRegistry"]:
        """Lend the client for the image's repository; how it goes is remembered for its host."""
        host = image.registry
        credentials = self._find_credentials(host, project)
        if credentials is not None and credentials.host != host:
            raise SourceDenied(
                f"the credentials of {credentials.host} do not belong to {host}", host=host
            )
        code = ""
        try:
            self._ledger.check(host, credentials)
            yield self._client(host, image.repository, credentials)
        except SourceError as error:
            code = error.code
            self._ledger.record_error(host, credentials, error)
            raise
        finally:
            self.metering.looked_up(host, code)

    def _probe(self, host: str) -> None:
        client = self._client(host, "", None)
        try:
            deadline = client.exchange.shared.deadline()
            answer = client.exchange.ask(
                "GET", f"{client.exchange.endpoint.root}/v2/", {}, deadline
            )
            if answer.status_code in {200, 401}:
                return
            if answer.status_code == 404:
                raise SourceProtocolError(
                    f"{host} answers 404 to /v2/: it is no registry", host=host
                )
            raise self._refusal(host, answer)
        except SourceError as error:
            self._ledger.record_error(host, None, error)
            raise

    def _look_up(self, image: ImageReference, reference: str, client: "GuardedRegistry") -> Digest:
        deadline = client.exchange.shared.deadline()
        url = f"{client.exchange.endpoint.root}/v2/{image.repository}/manifests/{reference}"
        # HEAD first: Docker Hub counts a GET as a pull, and a HEAD not.
        head = client.do_request(url, "HEAD", headers=_ACCEPT, deadline=deadline)
        if head.status_code == 200:
            digest = _digest_in(head)
            if digest is not None and not _is_schema_1(head):
                return digest
        elif head.status_code not in _HEAD_UNKNOWN:
            raise self._refusal(str(image), head)
        answer = client.do_request(url, "GET", headers=_ACCEPT, deadline=deadline)
        if answer.status_code != 200:
            raise self._refusal(str(image), answer)
        return _digest_of(image, answer)

    def _fetch(self, image: ImageReference, client: "GuardedRegistry") -> Fetch:
        """Return what gets parts of the image's repository, all within one time limit."""
        exchange, deadline = client.exchange, client.exchange.shared.deadline()

        def fetch(kind: str, part: Digest) -> bytes:
            url = f"{exchange.endpoint.root}/v2/{image.repository}/{kind}/{part}"
            answer = client.do_request(url, headers=_ACCEPT, deadline=deadline)
            if answer.status_code != 200:
                raise self._refusal(str(image), answer)
            return answer.content

        return fetch

    def _refusal(self, subject: str, answer: "requests.Response") -> SourceError:
        body, now = answer.content[:4096], self._clock.now()
        return error_for(subject, answer.status_code, answer.headers, body, now)

    def _client(
        self, host: str, repository: str, credentials: RegistryCredentials | None
    ) -> "GuardedRegistry":
        """Return the client that holds this repository's token for this identity."""
        from reconciler.adapters.registry.client import GuardedRegistry

        key = (host, repository, credentials)
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                shared = self._shared = self._shared or self._connect()
                client = GuardedRegistry(self._endpoint(host), repository, credentials, shared)
                self._clients[key] = client
            self._clients.move_to_end(key)
            while len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
        return client

    def _connect(self) -> "Shared":
        # oras and requests take a fifth of a second to import: only who looks up images pays.
        from reconciler.adapters.registry.exchange import Shared
        from reconciler.adapters.registry.session import Limits, open_session

        limits = Limits(total=self._time_limit)
        return Shared(
            session=open_session(limits, self._ca_bundle),
            public_session=open_session(limits, self._ca_bundle, public_only=True),
            limits=limits,
            realms=self._realms,
            ledger=self._ledger,
            clock=self._clock,
        )

    def _endpoint(self, host: str) -> "Endpoint":
        from reconciler.adapters.registry.exchange import Endpoint

        if host == DOCKER_HUB:
            return Endpoint(host, f"https://{_HUB_API}")
        own_machine = (
            is_loopback(urlsplit(f"//{host}").hostname or "") and host not in self._tls_hosts
        )
        plain = own_machine or host in self._insecure_hosts
        return Endpoint(host, f"{'http' if plain else 'https'}://{host}")


def _parse_host(text: str) -> str:
    image = ImageReference.parse(f"{text}/probe", "registry") if "/" not in text else None
    if image is None or (image.registry == DOCKER_HUB and text != DOCKER_HUB):
        raise InvalidReference("registry", text, "is not a host like 'registry.example:5000'")
    return image.registry


def _digest_in(answer: "requests.Response") -> Digest | None:
    """Return the digest that the answer's header tells, if it is one."""
    try:
        return Digest.parse(answer.headers.get("Docker-Content-Digest", ""))
    except InvalidReference:
        return None


def _is_schema_1(answer: "requests.Response") -> bool:
    return answer.headers.get("Content-Type", "").lower().startswith(_SCHEMA_1)


def _digest_of(image: ImageReference, answer: "requests.Response") -> Digest:
    """Return the digest of the very bytes of a manifest.

    Raises:
        SourceProtocolError: they are no manifest, or not what the header says.
    """
    body = answer.content
    try:
        manifest = json.loads(body)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("schemaVersion") != 2:
        kind = answer.headers.get("Content-Type", "nothing known")[:80]
        raise SourceProtocolError(f"{image}: the registry's answer is no manifest, but {kind}")
    digest = Digest(f"sha256:{hashlib.sha256(body).hexdigest()}")
    told = _digest_in(answer)
    if told is not None and told != digest:
        raise SourceProtocolError(
            f"{image}: the manifest is not what its header says", header=str(told), body=str(digest)
        )
    return digest
