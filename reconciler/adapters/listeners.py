"""The sockets that the daemon is reached by."""

import errno
import os
import socket
import struct
from pathlib import Path

from reconciler.domain.errors import PreconditionFailed

#: A socket that accepts connections.
Listener = socket.socket

_BACKLOG = 512
#: Source: unix(7), struct ucred: pid, uid, gid.
_UCRED = struct.Struct("3i")


def listen_tcp(host: str, port: int) -> Listener:
    """Return a socket that listens on ``host`` and ``port``; port 0 takes a free one.

    Raises:
        PreconditionFailed: the address is taken, or not one of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(f"{host}:{port}", error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(f"{host}:{port}", error) from error
    return listener


def listen_unix(path: Path) -> Listener:
    """Return a socket at ``path`` that its owner alone can open.

    A folder that is made for it is its owner's alone, too; one that is there may be used by others,
    e.g. ``/run``, and stays as it is. A socket that a killed daemon left behind is
    replaced; one that answers is not.

    Raises:
        PreconditionFailed: another daemon answers there, or the folder can't be used.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _cannot_listen(str(path), error) from error
    return listener


def peer_uid(descriptor: int) -> int:
    """Return the user id of who opened the other end of a unix socket, as the kernel knows it."""
    with socket.socket(fileno=os.dup(descriptor)) as other_end:
        credentials = other_end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, _ = _UCRED.unpack(credentials)
    return int(uid)


def _clear(path: Path) -> None:
    """Remove a socket that nobody answers at."""
    if not path.is_socket():
        if path.exists():
            raise PreconditionFailed(f"{path} is there, and is no socket")
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            # It is slow to answer, so somebody is there.
            pass
    raise PreconditionFailed(f"another daemon answers at {path}", socket=str(path))


def _cannot_listen(where: str, error: OSError) -> PreconditionFailed:
    text = f"can't listen at {where}: {(error.strerror or str(error)).lower()}"
    if error.errno == errno.EADDRINUSE:
        text += "; end what listens there, or choose another `listen` (RECONCILER_LISTEN)"
    return PreconditionFailed(text, address=where)
