"""The Docker engine over its unix socket: what runs, and which images are there.

Source: Docker Engine API v1.41, which Docker 20.10 speaks.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
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
from reconciler.domain.stack import ComposeContainer
from reconciler.domain.verification import REVISION_LABEL, Health, RunState, Sample
from reconciler.ports import Image, OwnContainer

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
#: An engine mounts these from the folder that is named by the container's id, in every version of
#: cgroups and whatever its host name is. Source: proc(5), mountinfo.
_MOUNTS = Path("/proc/self/mountinfo")
_OWN_FILES = re.compile(r"/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) ")
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
            # Reading the system's certificates takes longer than most answers do.
            transport=httpx2.HTTPTransport(uds=str(self._socket), verify=False, trust_env=False),
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

    def address(self) -> str:
        """Return where a client reaches it; see ``Engine``."""
        return f"unix://{self._socket}"

    def platform(self) -> str:
        """Return what it runs on; see ``Engine``."""
        about = self._get("/version") or {}
        return f"{about.get('Os')}/{about.get('Arch')}"

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

    def compose_containers(self) -> Sequence[ComposeContainer]:
        """Return the containers of every compose project; see ``Engine``."""
        wanted = [f"{_LABEL}.project", f"{_LABEL}.oneoff=False"]
        query = {"all": "1", "filters": json.dumps({"label": wanted})}
        try:
            return [_of_compose(entry) for entry in self._get("/containers/json", query) or []]
        except _OTHER_SHAPE as error:
            self._fail(f"describes a container in a way that we don't know: {error}")

    def find_one_off(self, project: ProjectName, name: str) -> Sample | None:
        """Return one container of `docker compose run`; see ``Engine``."""
        labels = {f"{_LABEL}.project": str(project), f"{_LABEL}.oneoff": "True"}
        try:
            return self._sample(quote(name, safe=""), {}, labels)
        except _OTHER_SHAPE as error:
            self._fail(f"describes a container in a way that we don't know: {error}")

    def has_image(self, image: ImageReference) -> bool:
        """Tell whether the image is there; see ``Engine``."""
        # With a digest in it the engine looks at the digest alone; a tag would be ignored.
        name = f"{image.name}@{image.digest}" if image.digest else str(image)
        return self._get(f"/images/{quote(name, safe='/:@')}/json") is not None

    def find_image(self, name: str) -> Image | None:
        """Return the image of that name or id; see ``Engine``."""
        details = self._get(f"/images/{quote(name, safe='/:@')}/json")
        if details is None:
            return None
        try:
            return Image(
                id=Digest.parse(details["Id"]),
                labels=details["Config"].get("Labels") or {},
                tags=tuple(details.get("RepoTags") or ()),
                digests=_digests(details.get("RepoDigests") or []),
                platform=f"{details['Os']}/{details['Architecture']}",
            )
        except _OTHER_SHAPE as error:
            self._fail(f"describes an image in a way that we don't know: {error}")

    def images(self, labels: Mapping[str, str]) -> Sequence[Image]:
        """Return the images that have all of ``labels``; see ``Engine``."""
        wanted = [f"{name}={value}" if value else name for name, value in labels.items()]
        listed = self._get("/images/json", {"filters": json.dumps({"label": wanted})}) or []
        try:
            ids = [entry["Id"] for entry in sorted(listed, key=lambda one: -one["Created"])]
        except _OTHER_SHAPE as error:
            self._fail(f"describes an image in a way that we don't know: {error}")
        return [image for name in ids if (image := self.find_image(name))]

    def give_name(self, image: Digest, name: str) -> None:
        """Have ``name`` mean ``image``; see ``Engine``."""
        repository, _, tag = name.rpartition(":")
        query = {"repo": repository, "tag": tag}
        self._change("POST", f"/images/{image}/tag", query, httpx2.codes.CREATED)

    def drop_name(self, name: str) -> None:
        """Let ``name`` mean nothing; see ``Engine``."""
        done = (httpx2.codes.OK, httpx2.codes.NOT_FOUND, httpx2.codes.CONFLICT)
        self._change("DELETE", f"/images/{quote(name, safe='/:')}", {}, *done)

    def own_container(self) -> OwnContainer | None:
        """Return the container that we run in; see ``Engine``."""
        found = _OWN_FILES.search(_MOUNTS.read_text()) if _MOUNTS.exists() else None
        details = self._get(f"/containers/{found[1]}/json") if found else None
        if details is None:
            return None
        try:
            return _own(details)
        except _OTHER_SHAPE as error:
            self._fail(f"describes a container in a way that we don't know: {error}")

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

    def _sample(
        self,
        container: str,
        known: dict[str, frozenset[Digest]],
        wanted: Mapping[str, str] | None = None,
    ) -> Sample | None:
        details = self._get(f"/containers/{container}/json")
        if details is None:  # removed since it was listed
            return None
        image, config, state = details["Image"], details["Config"], details["State"]
        labels = config["Labels"] or {}
        if not (wanted or {}).items() <= labels.items():
            return None
        if image not in known:
            # Also its own id: what was built here has no other digest.
            known[image] = self._image_digests(image) | {Digest.parse(image)}
        running = state["Status"] in {"running", "paused"}
        started_at = state.get("StartedAt") or ""
        return Sample(
            id=details["Id"],
            service=labels.get(f"{_LABEL}.service", ""),
            state=RunState(state["Status"]),
            digests=known[image] | _digests([config["Image"]]),
            health=Health((state.get("Health") or {}).get("Status") or "none"),
            restarts=details.get("RestartCount", 0),
            exit_status=None if running or started_at == _NO_TIME else state["ExitCode"],
            started_at="" if started_at == _NO_TIME else started_at,
            revision=str(labels.get(REVISION_LABEL, "")),
            address=_address(details),
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

    def _change(self, method: str, path: str, query: Mapping[str, str], *done: int) -> None:
        api = self._api or self._negotiate()[0]
        status, body = self._ask(f"{api}{path}", query, method=method)
        if status not in done:
            self._fail(f"answered {status} to {path.split('/')[1]}: {_said(body)}")

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

    def _ask(
        self, path: str, query: Mapping[str, str] | None = None, *, method: str = "GET"
    ) -> tuple[int, bytes]:
        until = time.monotonic() + self._longest_seconds
        try:
            # Asked first: a failed connect leaves its socket to the garbage collector.
            if not self._socket.exists():
                self._fail("is not there: is Docker installed and started?")
            with self._http.stream(method, path, params=query) as answer:
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


def _of_compose(entry: Mapping[str, Any]) -> ComposeContainer:
    published = [one for one in entry.get("Ports") or [] if one.get("PublicPort")]
    return ComposeContainer(
        id=entry["Id"],
        image=str(entry["Image"]),
        image_id=Digest.parse(entry["ImageID"]),
        is_running=entry["State"] == "running",
        labels={str(name): str(value) for name, value in (entry["Labels"] or {}).items()},
        published=tuple(sorted({int(one["PrivatePort"]) for one in published})),
        mounts={
            str(one["Destination"]): str(one.get("Name") or one.get("Source") or "")
            for one in entry.get("Mounts") or []
        },
    )


def _own(details: Mapping[str, Any]) -> OwnContainer:
    config, labels = details["Config"], details["Config"].get("Labels") or {}
    return OwnContainer(
        id=details["Id"],
        project=labels.get(f"{_LABEL}.project", ""),
        service=labels.get(f"{_LABEL}.service", ""),
        image=details["Image"],
        user=config.get("User") or "",
        groups=tuple(details["HostConfig"].get("GroupAdd") or ()),
        mounts=frozenset(one["Source"] for one in details["Mounts"] if one["Type"] == "bind"),
    )


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


def _address(details: Mapping[str, Any]) -> str:
    """Return where a container is asked from its host: on its own address, if it has one.

    One that shares the host's network answers on the host's loopback.
    """
    if (details.get("HostConfig") or {}).get("NetworkMode") == "host":
        return "127.0.0.1"
    networks = (details.get("NetworkSettings") or {}).get("Networks") or {}
    given = [
        network.get(family)
        for family in ("IPAddress", "GlobalIPv6Address")
        for _, network in sorted(networks.items())
    ]
    return str(ip_address(next(filter(None, given)))) if any(given) else ""


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
