"""`git http-backend` as a child: git's own smart-HTTP server, streamed both ways.

Source: git-http-backend(1); RFC 3875 for the environment and the answer's head.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

from reconciler.domain.errors import PreconditionFailed

_CHUNK_BYTES = 1 << 16
_HEAD_LIMIT_BYTES = 1 << 16
_TERM_GRACE_SECONDS = 5.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CONFIG = {
    "safe.directory": "*",  # the daemon's own folder, also when another user started it before
    "http.receivepack": "true",
    "http.uploadpack": "true",
    "core.fsmonitor": "false",
}


class HttpBackend:
    """One request to git. Use as an async context: leaving it ends the child, whatever it does."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @classmethod
    async def start(cls, repository: Path, request: Mapping[str, str]) -> "HttpBackend":
        """Start git for one request to ``repository``.

        Args:
            repository: the bare repository's folder; its own configuration limits pushes.
            request: the CGI variables of the request, ``PATH_INFO`` without the repository.

        Raises:
            PreconditionFailed: git is not there.
        """
        environment = {
            "PATH": os.environ.get("PATH", _PATH),
            "LC_ALL": "C.UTF-8",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROJECT_ROOT": str(repository.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            **_as_variables(_CONFIG),
            **request,
            "PATH_INFO": f"/{repository.name}{request['PATH_INFO']}",
        }
        try:
            child = await asyncio.create_subprocess_exec(
                "git",
                "http-backend",
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                limit=_HEAD_LIMIT_BYTES,
            )
        except OSError as error:
            raise PreconditionFailed(f"git can't be started: {error.strerror}") from error
        return cls(child)

    async def write(self, chunk: bytes) -> bool:
        """Give git a part of the body and wait until it took it; False once it takes no more."""
        assert self._child.stdin is not None  # noqa: S101  made with a pipe
        try:
            self._child.stdin.write(chunk)
            await self._child.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def end_body(self) -> None:
        """Say that the body is complete."""
        assert self._child.stdin is not None  # noqa: S101  made with a pipe
        self._child.stdin.close()

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Return the answer's status and headers; 500 where git said nothing."""
        assert self._child.stdout is not None  # noqa: S101  made with a pipe
        status, headers = 200, []
        while (line := await self._child.stdout.readline()).strip():
            name, _, value = line.strip().partition(b": ")
            if name.lower() == b"status":
                status = int(value.split()[0])
            else:
                headers.append((name.lower(), value))
        return (status, headers) if line else (500, [])

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the answer's body as it comes."""
        assert self._child.stdout is not None  # noqa: S101  made with a pipe
        while chunk := await self._child.stdout.read(_CHUNK_BYTES):
            yield chunk

    async def end(self, *, wait_seconds: float) -> None:
        """Wait for git to end; end it and all it started when it does not.

        First politely: git then removes its lock files, which would refuse later pushes.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._child.wait(), wait_seconds)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, sign)
            if self._child.returncode is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._child.wait(), _TERM_GRACE_SECONDS)


def _as_variables(config: Mapping[str, str]) -> dict[str, str]:
    """Return git settings in the form that every git below the child reads, too.

    Source: git-config(1), ``GIT_CONFIG_COUNT``.
    """
    variables = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables
