"""A registry that lies, stalls and refuses in every way that real ones do, one at a time."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping

from tests.parts.certificates import ServerCertificate
from tests.parts.http_server import Answer, HttpServer, Request

MANIFEST = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
MANIFEST_HEADERS = {
    "Content-Type": "application/vnd.oci.image.manifest.v1+json",
    "Docker-Content-Digest": DIGEST,
}


class FaultyRegistry(HttpServer):
    """Answers every manifest with `MANIFEST`, and hands out its own tokens at ``/token``.

    ``tokens``: whether manifests need one, for their repository alone. ``instead``: answers before
    all that; what it returns is sent, unless it is None.
    """

    def __init__(
        self,
        *,
        tokens: bool = False,
        instead: Callable[[Request], Answer | None] = lambda _request: None,
        tls: ServerCertificate | None = None,
    ) -> None:
        """Say what it does; nothing is served before the block is entered."""
        super().__init__(self._answer, tls=tls)
        self.tokens = tokens
        self.instead = instead
        self.realm = ""  #: empty: its own ``/token``
        self.lifetime_seconds = 300
        self.issued: dict[str, str] = {}  #: token → repository

    def sent(self, path: str = "") -> list[tuple[str, str]]:
        """Return method and path of each request so far whose path begins with ``path``."""
        return [(each.method, each.path) for each in self.requests if each.path.startswith(path)]

    def shown(self) -> set[str]:
        """Return every Authorization header that it ever saw."""
        return {each.authorization for each in self.requests if each.authorization}

    def _answer(self, request: Request) -> Answer:
        answer = self.instead(request)
        if answer is not None:
            return answer
        if request.path == "/token":
            return self._issue(request)
        if self.tokens and not self._is_allowed(request):
            return self.challenge()
        return Answer(200, MANIFEST_HEADERS, MANIFEST)

    def challenge(self) -> Answer:
        """Return the 401 that sends a client for a token."""
        realm = self.realm or f"{self.url}/token"
        # A scope that is not what the client needs: it has to know its own.
        said = f'Bearer realm="{realm}",service="tests",scope="repository:other:pull,push"'
        return Answer(401, {"WWW-Authenticate": said})

    def _issue(self, request: Request) -> Answer:
        asked: Mapping[str, list[str]] = request.query
        (scope,) = asked.get("scope", ["::"])
        token = secrets.token_hex(8)
        self.issued[token] = scope.split(":")[1]
        body = {"token": token, "expires_in": self.lifetime_seconds}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _is_allowed(self, request: Request) -> bool:
        repository = request.path.removeprefix("/v2/").partition("/manifests/")[0]
        token = (request.authorization or "").removeprefix("Bearer ")
        return self.issued.get(token) == repository
