"""The web in a process of its own, and clients for both of its listeners."""

import json
import secrets
import ssl
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.parts import tables
from tests.parts.child import Child


class WebDaemon:
    """``tests.parts.web_daemon`` as a child, with its data in ``folder``."""

    def __init__(
        self,
        folder: Path,
        *,
        hook: bool = True,
        settings: Mapping[str, str] | None = None,
        trust: Path | None = None,
    ) -> None:
        """Take a folder.

        Args:
            folder: for its data.
            hook: without it, its repositories report no push by themselves.
            settings: variables of the environment that configure it besides.
            trust: file of the authority that its certificate is of.
        """
        self.folder = folder
        self.trust = trust
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(dict(settings or {})))
        if not hook:
            (folder / "no-hook").touch()
        self.child = Child(
            ["web_daemon", folder],
            log=folder / "daemon.log",
            ready=(folder / "addresses.json").exists,
            prepared="tests.parts.web_daemon",
        )
        self._clients: list[httpx2.Client] = []
        if not (folder / "data").exists() and "RECONCILER_DATABASE" not in (settings or {}):
            tables.lay_out(folder / "data")

    def __enter__(self) -> Self:
        (self.folder / "addresses.json").unlink(missing_ok=True)
        self.child.__enter__()
        addresses = json.loads((self.folder / "addresses.json").read_text())
        self.url = str(addresses["url"])
        self.socket = Path(addresses["socket"])
        self.local = self._client(
            transport=httpx2.HTTPTransport(uds=str(self.socket), verify=False)
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients:
            client.close()
        self.child.end(within=15)

    @property
    def port(self) -> int:
        """The TCP listener's port."""
        return int(self.url.rpartition(":")[2])

    @cached_property
    def admin_token(self) -> str:
        """A token that may do everything, made by the operator of this machine."""
        return make_admin_token(self.socket)

    def remote(self, token: str | None = None, **headers: str) -> httpx2.Client:
        """Return a client over TCP."""
        if token:
            headers["authorization"] = f"Bearer {token}"
        # Without one it is plain HTTP, for which reading the system's certificates takes long.
        verify = ssl.create_default_context(cafile=self.trust) if self.trust else False
        return self._client(transport=httpx2.HTTPTransport(verify=verify), headers=headers)

    def make_token(self, name: str, scope: str, **more: object) -> str:
        """Return a new token for the API."""
        body = {"name": name, "scope": scope, **more}
        answer = self.local.post("/api/v1/tokens", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def make_repository(self, name: str) -> str:
        """Make a hosted repository; return a token that may push to it."""
        assert self.local.post("/api/v1/repositories", json={"name": name}).status_code == 201
        path = f"/api/v1/repositories/{name}/tokens"
        return str(self.local.post(path, json={"name": f"push-{name}"}).json()["token"])

    def _client(
        self, *, transport: httpx2.BaseTransport, headers: dict[str, str] | None = None
    ) -> httpx2.Client:
        client = httpx2.Client(
            base_url=self.url, transport=transport, headers=headers, timeout=20, trust_env=False
        )
        self._clients.append(client)
        return client


def make_admin_token(socket: Path) -> str:
    """Return a new token that may do everything, asked for over the unix socket."""
    wanted = {"name": f"admin-{secrets.token_hex(4)}", "scope": "admin"}
    transport = httpx2.HTTPTransport(uds=str(socket), verify=False)
    with httpx2.Client(base_url="http://localhost", transport=transport, timeout=20) as client:
        return str(ok(client.post("/api/v1/tokens", json=wanted))["token"])


def ok(answer: httpx2.Response) -> dict[str, Any]:
    """Return the body of an answer that has to be a success."""
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem of an answer that has to be this very refusal."""
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    assert found["code"] == code
    return found
