"""Has lightkube speak over a connection of ours, instead of one that nothing bounds."""

import httpx2
import lightkube
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User

from reconciler.adapters.kubernetes.connection import Connection, Question

FIELD_MANAGER = "reconciler"
#: What httpx may not hand on: the connection has its own.
_OURS = {"host", "connection", "accept-encoding", "user-agent", "content-length", "authorization"}
#: Where lightkube believes the server to be. Its own address is the connection's to know: httpx
#: writes addresses anew, without a port that is the usual one.
_NOWHERE = "https://cluster.invalid"


def lightkube_over(connection: Connection) -> lightkube.Client:
    """Return a client; it reads nothing of the environment, and has no credential."""
    # Nothing is sent over httpx's own connections, so that there is nothing for it to trust.
    cluster = Cluster(server=_NOWHERE, insecure=True)
    config = SingleConfig("ours", Context("ours"), cluster, User())
    return lightkube.Client(
        config, field_manager=FIELD_MANAGER, trust_env=False, transport=_Bridge(connection)
    )


class _Bridge(httpx2.BaseTransport):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        target = request.url.raw_path.decode("ascii")
        headers = {name: value for name, value in request.headers.items() if name not in _OURS}
        body = request.read() or None
        reply = self._connection.ask(Question(request.method, target, headers, body))
        said = {"Content-Type": reply.headers.get("Content-Type", "")}
        return httpx2.Response(reply.status, headers=said, content=reply.body)
