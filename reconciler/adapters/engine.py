"""The Docker engine over its unix socket: what runs, and which images are there. Reads only.

Source: Docker Engine API v1.41, which Docker 20.10 speaks.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import httpx2

from reconciler.domain.errors import (
    InvalidReference,
    PreconditionFailed,
    RolloutError,
    TargetUnreachable,
)
from reconciler.domain.failure import Failure
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.verification import Health, RunState, Sample

DEFAULT_HOST = "unix:///var/run/docker.sock"

_API = (1, 41)
_LIMIT_BYTES = 8 << 20
_TIMEOUT_SECONDS = 10.0
#: Of that, for one answer as a whole: it may come slowly, but not for ever.
_LONGEST_ANSWER = 3
_LONGEST_LINE = 2000
_LABEL = "com.docker.compose"
#: What reading an answer of another shape than ours ends with.
_OTHER_SHAPE = (AttributeError, KeyError, TypeError, ValueError)
_NO_TIME = "0001-01-01T00:00:00Z"


class DockerEngine:
    """``Engine`` on one Docker engine. Safe to use from any thread; connections are kept."""

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        name: str = "",
    ) -> None:
        """Connect to ``host`` when first asked; errors say ``name`` instead of it, if there is."""
        self.host = name or host
        self._socket = _socket_path(host)
        self._longest_seconds = timeout_seconds * _LONGEST_ANSWER
        self._api: str | None = None
        self._http = httpx2.Client(
            transport=httpx2.HTTPTransport(uds=str(self._socket), trust_env=False),
            base_url="http://engine",
            timeout=timeout_seconds,
            trust_env=False,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def ping(self) -> str | Failure:
        """Return the engine's version, or why it can't be used; see ``Engine``."""
        try:
            _, version = self._negotiate()
            return version
        except RolloutError as error:
            return Failure.of(error)

    def containers(self, project: ProjectName) -> Sequence[Sample]:
        """Return the containers of a compose project; see ``Engine``."""
        filters = json.dumps({"label": [f"{_LABEL}.project={project}", f"{_LABEL}.oneoff=False"]})
        listed = self._get("/containers/json", {"all": "1", "filters": filters}) or []
        known: dict[str, frozenset[Digest]] = {}
        try:
            found = [sample for entry in listed if (sample := self._sample(entry["Id"], known))]
        except _OTHER_SHAPE as error:
            # Never an empty list, nor a guess: what runs is not known.
            self._fail(f"describes a container in a way that we don't know: {error}")
        return sorted(found, key=lambda sample: (sample.service, sample.id))

    def has_image(self, image: ImageReference) -> bool:
        """Tell whether the image is there; see ``Engine``."""
        # With a digest in it the engine looks at the digest alone; a tag would be ignored.
        name = f"{image.name}@{image.digest}" if image.digest else str(image)
        return self._get(f"/images/{quote(name, safe='/:@')}/json") is not None

    def last_lines(self, container: str, count: int) -> Sequence[str]:
        """Return the newest lines that a container wrote; see ``Engine``."""
        details = self._get(f"/containers/{quote(container, safe='')}/json")
        if details is None:
            return ()
        query = {"stdout": "1", "stderr": "1", "tail": str(count)}
        raw = self._request(f"/containers/{quote(container, safe='')}/logs", query)
        try:
            text = raw if details["Config"]["Tty"] else b"".join(_frames(raw or b""))
        except _OTHER_SHAPE as error:
            self._fail(f"describes a container in a way that we don't know: {error}")
        lines = (text or b"").decode(errors="replace").splitlines()
        return [line[:_LONGEST_LINE] for line in lines[-count:]]

    def _sample(self, container: str, known: dict[str, frozenset[Digest]]) -> Sample | None:
        details = self._get(f"/containers/{container}/json")
        if details is None:  # removed since it was listed
            return None
        image, config, state = details["Image"], details["Config"], details["State"]
        if image not in known:
            known[image] = self._image_digests(image)
        running = state["Status"] in {"running", "paused"}
        started_at = state.get("StartedAt") or ""
        return Sample(
            id=details["Id"],
            service=config["Labels"].get(f"{_LABEL}.service", ""),
            state=RunState(state["Status"]),
            digests=known[image] | _digests([config["Image"]]),
            health=Health((state.get("Health") or {}).get("Status") or "none"),
            restarts=details.get("RestartCount", 0),
            exit_status=None if running or started_at == _NO_TIME else state["ExitCode"],
            started_at="" if started_at == _NO_TIME else started_at,
        )

    def _image_digests(self, image: str) -> frozenset[Digest]:
        """Return the digests of manifests and indexes by which this image was pulled or pushed."""
        details = self._get(f"/images/{image}/json") or {}
        return _digests(details.get("RepoDigests") or [])

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the answer's JSON; None if there is no such thing."""
        body = self._request(path, query)
        if body is None:
            return None
        try:
            return json.loads(body)
        except ValueError:
            self._fail("answered with something else than JSON")

    def _request(self, path: str, query: Mapping[str, str] | None = None) -> bytes | None:
        api = self._api or self._negotiate()[0]
        status, body = self._ask(f"{api}{path}", query)
        if status == httpx2.codes.NOT_FOUND:
            return None
        if status != httpx2.codes.OK:
            self._api = None  # it may have been replaced by one that speaks other versions
            self._fail(f"answered {status} to {path.split('/')[1]}: {_said(body)}")
        return body

    def _negotiate(self) -> tuple[str, str]:
        """Settle on v1.41, or on the oldest that a newer engine still speaks.

        Returns:
            The prefix of every path, and the engine's own version.
        """
        status, body = self._ask("/version")
        try:
            about: Mapping[str, Any] = json.loads(body)
            newest, oldest = _version(about["ApiVersion"]), _version(about["MinAPIVersion"])
        except (ValueError, KeyError, TypeError):
            self._fail(f"answered {status} to version: {_said(body)}")
        if newest < _API:
            raise PreconditionFailed(
                f"the Docker engine at {self.host} is too old: it speaks API "
                f"{about['ApiVersion']}, needed is 1.41 (Docker 20.10)"
            )
        self._api = "/v{}.{}".format(*max(_API, oldest))
        return self._api, str(about.get("Version") or "unknown version")

    def _ask(self, path: str, query: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        until = time.monotonic() + self._longest_seconds
        try:
            # Asked first: a failed connect leaves its socket to the garbage collector.
            if not self._socket.exists():
                self._fail("is not there: is Docker installed and started?")
            with self._http.stream("GET", path, params=query) as answer:
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _LIMIT_BYTES:
                        self._fail(f"answered with more than {_LIMIT_BYTES} bytes")
                    if time.monotonic() > until:
                        self._fail("did not end its answer in time")
                return answer.status_code, bytes(body)
        except httpx2.TimeoutException:
            self._fail("did not answer in time")
        except (httpx2.HTTPError, OSError) as error:
            self._fail(_why(error))

    def _fail(self, problem: str) -> NoReturn:
        raise TargetUnreachable(f"the Docker engine at {self.host} {problem}", host=self.host)


def _socket_path(host: str) -> Path:
    scheme, separator, path = host.partition("://")
    if not separator:
        scheme, path = "unix", host
    if scheme != "unix" or not path.startswith("/"):
        raise PreconditionFailed(
            f"DOCKER_HOST {host!r} is not a unix socket (unix:///path/to/docker.sock)"
        )
    return Path(path)


def _why(error: Exception) -> str:
    """Say in an operator's words why nobody answers."""
    if "Permission denied" in str(error):
        return "can't be opened: permission denied; is this user in the group `docker`?"
    return f"does not answer: {str(error) or type(error).__name__}"


def _digests(names: Sequence[str]) -> frozenset[Digest]:
    found = set()
    for name in names:
        try:
            found.add(Digest.parse(name.partition("@")[2]))
        except InvalidReference:
            continue
    return frozenset(found)


def _frames(raw: bytes) -> Iterator[bytes]:
    """Return what is in the frames of a multiplexed log: a type, three zeros, a length, the text.

    Source: Docker Engine API v1.41, "Attach to a container", "Stream format".
    """
    at = 0
    while at + 8 <= len(raw):
        length = int.from_bytes(raw[at + 4 : at + 8], "big")
        yield raw[at + 8 : at + 8 + length]
        at += 8 + length


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _said(body: bytes) -> str:
    return body[:200].decode(errors="replace").strip()
