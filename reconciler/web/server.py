"""Serving: one process, one loop, two listeners, and an orderly end."""

import asyncio
import faulthandler
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvicorn
from anyio import to_thread

from reconciler.adapters.listeners import Listener, listen_tcp, listen_unix
from reconciler.adapters.service_manager import ServiceManager
from reconciler.adapters.tls import RenewedTls, TlsFiles
from reconciler.adapters.tls_door import TlsDoor
from reconciler.app import Application
from reconciler.domain.secret import Secret
from reconciler.web.api_status import find_problems
from reconciler.web.asgi import create_web
from reconciler.web.connections import BoundedProtocol, UnixProtocol
from reconciler.web.watchdog import report_health

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger("reconciler.web")

_THREADS = 24
_CONNECTIONS = 512
_KEEP_ALIVE_SECONDS = 30
LAST_ANSWERS_SECONDS = 5  #: that open connections have once all else has ended
#: What the end may take beside the grace: a claim that is made, workers and loops that let go.
LETTING_GO = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the daemon listens."""

    url: str  #: ``http://host:port``, or ``https://``; empty without a TCP listener
    socket: Path
    set_up_token: Secret | None  #: makes the first admin; None: there is one
    set_up_file: Path  #: where that is, too


def serve(application: Application, *, on_listening: Callable[[Addresses], None]) -> int:
    """Run the daemon until a signal ends it; return the exit status.

    The first SIGTERM or SIGINT drains: health and readiness answer 503 from that moment, running
    deployments get their grace, then the listeners close. The second ends the process at once,
    which loses nothing: the next start goes on from what is recorded.

    Args:
        application: the wired daemon, not yet started.
        on_listening: called once, when requests are answered.

    Raises:
        PreconditionFailed: an address is taken.
        ReconcilerError: the daemon could not start.
    """
    import uvloop  # the tests of other modules need not load it

    # A watchdog ends what hangs with SIGABRT: the log then has where each thread was.
    faulthandler.enable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Serving(application, on_listening).run())


class _Serving:
    """One life of the listeners."""

    def __init__(self, application: Application, on_listening: Callable[[Addresses], None]) -> None:
        self._application = application
        self._on_listening = on_listening
        self._manager = ServiceManager(os.environ)
        self._servers: list[_Server] = []
        self._watch: asyncio.Task[None] | None = None
        self._draining = False
        self._failure: Exception | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        app = create_web(self._application)
        socket_path = self._application.config.socket
        tasks, url = self._listen(app)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number, loop, app)
        try:
            await self._announce(url, socket_path)
            threading.Thread(
                target=self._start_daemon,
                args=(loop, app, url or str(socket_path)),
                name="start",
                daemon=True,
            ).start()
            await asyncio.gather(*tasks)
        finally:
            self._end_watch()
            socket_path.unlink(missing_ok=True)
        if self._failure:
            raise self._failure
        return 0

    def _listen(self, app: "FastAPI") -> tuple[list[asyncio.Task[None]], str]:
        config = self._application.config
        servers = [(listen_unix(config.socket), _Server(_uvicorn_config(app, UnixProtocol)))]
        url = ""
        if config.listen is not None:
            listener = listen_tcp(config.listen.host, config.listen.port)
            host, port = listener.getsockname()[:2]
            door = self._door(listener)
            scheme = "https" if door else "http"
            url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
            servers.append((listener, _Server(_uvicorn_config(app, BoundedProtocol), door)))
        self._servers = [server for _, server in servers]
        tasks = [asyncio.create_task(server.serve(sockets=[one])) for one, server in servers]
        return tasks, url

    def _door(self, listener: Listener) -> TlsDoor | None:
        config = self._application.config
        if not (config.tls_certificate and config.tls_key_file):
            return None
        files = TlsFiles(config.tls_certificate, config.tls_key_file)
        tls = RenewedTls(files, self._application.clock.now)
        return TlsDoor(listener, tls.context)

    async def _announce(self, url: str, socket_path: Path) -> None:
        people = self._application.people
        offered = await to_thread.run_sync(people.offer_set_up)
        for server in self._servers:
            await server.listening.wait()
        token = Secret.of(offered) if offered else None
        self._on_listening(Addresses(url, socket_path, token, people.set_up_file))

    def _start_daemon(self, loop: asyncio.AbstractEventLoop, app: "FastAPI", address: str) -> None:
        """Start the loops and workers while requests are answered already."""
        try:
            self._application.daemon.start()
        except Exception as error:  # noqa: BLE001  raised again where the process ends
            self._failure = error
            loop.call_soon_threadsafe(self._close, app)
            return
        if self._draining:
            return
        status = f"working; listening on {address}"
        self._manager.ready(status)
        loop.call_soon_threadsafe(self._begin_watch, app, status)

    def _begin_watch(self, app: "FastAPI", status: str) -> None:
        if self._draining:
            return

        def problems() -> Sequence[str]:
            return find_problems(self._application, app.state.store_check)

        self._watch = asyncio.create_task(report_health(self._manager, status, problems))

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    def _on_signal(self, number: int, loop: asyncio.AbstractEventLoop, app: "FastAPI") -> None:
        if self._draining:
            log.warning("stopping at once: a second signal came")
            logging.shutdown()
            os._exit(128 + number)
        self._draining = True
        log.info("shutting down: %s came", signal.Signals(number).name)
        self._end_watch()
        threading.Thread(target=self._drain, args=(loop, app), name="drain", daemon=True).start()

    def _drain(self, loop: asyncio.AbstractEventLoop, app: "FastAPI") -> None:
        grace = self._application.config.shutdown_grace
        self._manager.stopping(
            f"draining; what runs has {grace.total_seconds():g} s", at_most=grace + LETTING_GO
        )
        try:
            self._application.daemon.drain()
        except Exception:
            log.exception("draining failed")
        finally:
            loop.call_soon_threadsafe(self._close, app)

    def _close(self, app: "FastAPI") -> None:
        """End the streams, then the listeners, each after the answers that it owes."""
        app.state.followers.stop()
        app.state.set_ups.stop()
        app.state.feed.stop()
        for server in self._servers:
            server.should_exit = True


class _Server(uvicorn.Server):
    """A server that leaves signals to us: there are two of it."""

    def __init__(self, config: uvicorn.Config, door: TlsDoor | None = None) -> None:
        super().__init__(config)
        self._door = door
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[Listener] | None = None) -> None:
        """Begin to accept connections, and say so."""
        if self._door is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            self._door.open(self._protocol)
            self.servers.append(cast("asyncio.Server", self._door))  # closed as one
        self.listening.set()

    def _protocol(self) -> asyncio.Protocol:
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        state = self.lifespan.state
        return make(config=self.config, server_state=self.server_state, app_state=state)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _uvicorn_config(app: "FastAPI", protocol: type[BoundedProtocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
    )
