"""A real OCI registry: Debian's `docker-registry` (distribution 2.8) on a free port."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self

import urllib3

from tests.parts.certificates import CertificateAuthority
from tests.parts.child import Child, accepts_connections, free_port
from tests.parts.htpasswd import bcrypt
from tests.parts.token_server import ISSUER, SERVICE, TokenPolicy, TokenServer

USERNAME = "puller"
PASSWORD = "correct horse"

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ANY_MANIFEST = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"
#: manifest → its configuration's and its layers' media types
PARTS = {
    OCI_MANIFEST: (
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar",
    ),
    DOCKER_MANIFEST: (
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ),
}


class RegistryRefused(Exception):
    """The registry did not do what the test's own set-up asked for."""


@dataclass(frozen=True)
class AccessLogEntry:
    """One request that the registry answered, from its own log."""

    method: str
    target: str
    status: int


class Registry:
    """A registry with an empty storage that is gone when the block ends.

    ``auth`` is ``"none"``, ``"htpasswd"`` (`USERNAME` and `PASSWORD`) or ``"token"`` (the same, at
    our `token_server`). ``notifications`` are URLs that it posts its events to, with
    ``notification_headers``.
    """

    def __init__(
        self,
        auth: Literal["none", "htpasswd", "token"] = "none",
        *,
        tls: bool = False,
        notifications: Sequence[str] = (),
        notification_headers: Mapping[str, Sequence[str]] | None = None,
        port: int | None = None,
    ) -> None:
        """Say what kind of registry; nothing starts before the block is entered."""
        self.auth = auth
        self.port = port or free_port()
        self.policy = TokenPolicy(users={USERNAME: PASSWORD})
        self.token_server: TokenServer | None = None
        self.ca_path: Path | None = None
        self._tls = tls
        self._notifications = tuple(notifications)
        self._notification_headers = notification_headers or {}
        self._stack = ExitStack()

    @property
    def host(self) -> str:
        """``localhost:port``: how image references name it (Docker takes it without TLS)."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """The root address, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._directory = Path(stack.enter_context(TemporaryDirectory(prefix="registry-")))
            if self.auth == "token":
                self.token_server = stack.enter_context(
                    TokenServer(self._directory / "token", self.policy)
                )
            config_path = self._directory / "config.json"
            # JSON is YAML, and needs no quoting rules.
            config_path.write_text(json.dumps(self._config(), indent=2))
            self._child = stack.enter_context(
                Child(
                    ["docker-registry", "serve", config_path],
                    log=self._directory / "registry.log",
                    ready=lambda: accepts_connections(self.port),
                )
            )
            self._http = stack.enter_context(self._pool())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def child(self) -> Child:
        """The process itself, e.g. to stop it with a signal."""
        return self._child

    def push_manifest(
        self,
        repository: str,
        tag: str,
        content_seed: str,
        *,
        media_type: str = OCI_MANIFEST,
        created: str = "",
    ) -> str:
        """Push a tiny image whose digest follows from what is given alone; return the digest."""
        config = self._push_blob(
            repository,
            json.dumps(
                {
                    "architecture": "amd64",
                    "os": "linux",
                    "config": {"Labels": {"seed": content_seed}},
                    "rootfs": {"type": "layers", "diff_ids": []},
                    **({"created": created} if created else {}),
                }
            ).encode(),
        )
        layer = self._push_blob(repository, f"layer of {content_seed}".encode())
        config_type, layer_type = PARTS[media_type]
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": config_type, **config},
            "layers": [{"mediaType": layer_type, **layer}],
        }
        return self.put_manifest(repository, tag, manifest)

    def push_index(
        self, repository: str, tag: str, seeds: dict[str, str], *, media_type: str = OCI_INDEX
    ) -> tuple[str, dict[str, str]]:
        """Push a multi-architecture index, one image per architecture and seed.

        Returns:
            The index's digest, and architecture → digest of its image.
        """
        single = OCI_MANIFEST if media_type == OCI_INDEX else DOCKER_MANIFEST
        images = {
            architecture: self.push_manifest(
                repository, f"{tag}-{architecture}", seed, media_type=single
            )
            for architecture, seed in seeds.items()
        }
        manifests = [
            {
                "mediaType": single,
                "digest": digest,
                "size": len(self.manifest(repository, digest)),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in images.items()
        ]
        index = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
        return self.put_manifest(repository, tag, index), images

    def put_manifest(self, repository: str, tag: str, manifest: dict[str, Any]) -> str:
        """Store a manifest as it is under ``tag``; return its digest."""
        body = json.dumps(manifest, indent=2).encode()
        self._ask(
            "PUT",
            f"/v2/{repository}/manifests/{tag}",
            body=body,
            headers={"Content-Type": manifest["mediaType"]},
        )
        return _digest(body)

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest behind ``tag``, as the registry says it."""
        answer = self._ask("HEAD", f"/v2/{repository}/manifests/{tag}")
        return answer.headers["Docker-Content-Digest"]

    def manifest(self, repository: str, reference: str) -> bytes:
        """Return a manifest's bytes, by tag or digest."""
        return self._ask("GET", f"/v2/{repository}/manifests/{reference}").data

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest, with every tag that names it."""
        self._ask("DELETE", f"/v2/{repository}/manifests/{digest}")

    def requests(self) -> list[AccessLogEntry]:
        """Return what it was asked so far, by whoever; its log may lag behind by an instant."""
        return [
            AccessLogEntry(method, target, int(status))
            for method, target, status in re.findall(
                r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d{3})', self._child.output()
            )
        ]

    def docker_config(self, directory: Path) -> Path:
        """Write a docker client's config.json that holds the credentials; return its folder."""
        credentials = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "config.json"
        path.write_text(json.dumps({"auths": {self.host: {"auth": credentials}}}))
        return directory

    def _config(self) -> dict[str, Any]:
        http: dict[str, Any] = {"addr": f"127.0.0.1:{self.port}", "secret": secrets.token_hex()}
        if self._tls:
            authority = CertificateAuthority(self._directory / "tls")
            certificate = authority.issue()
            self.ca_path = authority.ca_path
            http["tls"] = {
                "certificate": str(certificate.certificate_path),
                "key": str(certificate.key_path),
            }
        endpoints = [
            {
                "name": f"test{number}",
                "url": url,
                "headers": self._notification_headers,
                "timeout": "2s",
                "threshold": 3,
                "backoff": "1s",
            }
            for number, url in enumerate(self._notifications)
        ]
        return {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._directory / "storage")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http,
            "notifications": {"endpoints": endpoints},
            **self._auth_config(),
        }

    def _auth_config(self) -> dict[str, Any]:
        if self.auth == "htpasswd":
            path = self._directory / "htpasswd"
            path.write_text(f"{USERNAME}:{bcrypt(PASSWORD)}\n")
            return {"auth": {"htpasswd": {"realm": "tests", "path": str(path)}}}
        if self.token_server:
            token = {
                "realm": f"{self.token_server.url}/token",
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(self.token_server.trusted_path),
            }
            return {"auth": {"token": token}}
        return {}

    def _pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(ca_certs=str(self.ca_path) if self.ca_path else None)

    def _push_blob(self, repository: str, data: bytes) -> dict[str, object]:
        digest = _digest(data)
        started = self._ask("POST", f"/v2/{repository}/blobs/uploads/")
        upload = started.headers["Location"]
        joint = "&" if "?" in upload else "?"
        self._ask(
            "PUT",
            upload.removeprefix(self.url) + f"{joint}digest={digest}",
            body=data,
            headers={"Content-Type": "application/octet-stream"},
        )
        return {"digest": digest, "size": len(data)}

    def _ask(
        self, method: str, target: str, *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        answer = self._http.request(
            method,
            self.url + target,
            body=body,
            headers={"Accept": ANY_MANIFEST, **self._own_authorization(target), **(headers or {})},
            retries=False,
            timeout=10,
        )
        if answer.status >= 400:
            raise RegistryRefused(f"{method} {target}: {answer.status} {answer.data!r}")
        return answer

    def _own_authorization(self, target: str) -> dict[str, str]:
        """Authorize the test's own requests past the token server: its record is the product's."""
        if self.auth == "htpasswd":
            credentials = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
            return {"Authorization": f"Basic {credentials}"}
        if self.token_server:
            repository = re.split("/(?:blobs|manifests)/", target.removeprefix("/v2/"))[0]
            token = self.token_server.token(f"repository:{repository}:pull,push,delete")
            return {"Authorization": f"Bearer {token}"}
        return {}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
