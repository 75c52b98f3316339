"""A program of its own: runs a command that sees nothing of what the daemon keeps from others.

``python confine.py refuse|allow HIDDEN… -- KEPT… -- COMMAND…``; the first of the kept folders is
the command's ``/tmp``. Where nothing can be hidden, the command is refused, or run all the same.
It knows nothing else of us, so that it starts at once.

Of the system's files, what is hidden is covered in a mount namespace, what is kept is bound in
again, and nothing else can be written, the daemon's own program above all. A user namespace within
that one holds the cover down, and takes the right to look into the daemon's processes, whose user
the command has: their memory, their open files, their view of the disk. Where the daemon is root,
the command is nobody instead, as root is at home everywhere.

Source: user_namespaces(7), mount_namespaces(7), ptrace(2) "Ptrace access mode checking".
"""

import ctypes
import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import FrameType

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 4, 36, 38
#: Source: mount_setattr(2); the number is that of every architecture.
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _RDONLY = 442, -100, 0x8000, 1
_NOBODY = 65534
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  names of what is covered
#: With this status it is told on the last line why nothing can be hidden; nothing was run.
REFUSED_STATUS = 125
REFUSED = "reconciler: this command can't be confined: "
#: As a shell says it.
_NOT_STARTED_STATUS = 127
_SIGNALLED = 128

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Run the command, and return its exit status; it leaves no process behind."""
    where_not, *arguments = arguments
    hidden, rest = _split(arguments)
    kept, command = _split(rest)
    _call(_libc.prctl, _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        _enter(hidden, kept)
    except OSError as error:
        if where_not != "allow":
            _say(f"{REFUSED}{error}")
            return REFUSED_STATUS
        _say(f"reconciler: this command is not confined: {error}")
    child = os.fork()
    if child == 0:
        _become(command)
    # The whole group is told to end; what it does about that is the command's business.
    signal.signal(signal.SIGTERM, _ignore)
    _, status = os.waitpid(child, 0)
    _end_orphans()
    ended = os.waitstatus_to_exitcode(status)
    return ended if ended >= 0 else _SIGNALLED - ended


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _say(line: str) -> None:
    os.write(2, f"{line}\n".encode())


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame


def _become(command: list[str]) -> None:
    # Python ignores these two, and that would be inherited.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  an argument list, of the operator's
    except OSError as error:
        _say(f"{command[0]} can't be started: {error.strerror}")
    os._exit(_NOT_STARTED_STATUS)


def _enter(hidden: list[str], kept: list[str]) -> None:
    """Go where all that is hidden is covered."""
    user, group, folder = os.geteuid(), os.getegid(), Path.cwd()
    if user == 0:
        _call(_libc.unshare, _CLONE_NEWNS)
    else:
        _unshare_user(user, group, _CLONE_NEWNS)
    # It becomes nobody, who may need to pass what is closed to others: that is covered as a whole,
    # and last, or a link in it to what has to be hidden would lead nowhere.
    _cover([*hidden, *_closed(kept)] if user == 0 else hidden, kept)
    if user == 0:
        user = group = _NOBODY
        _give_away(kept)
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
        # Or /proc/self would still be root's.
        _call(_libc.prctl, _PR_SET_DUMPABLE, 1, 0, 0, 0)
    _unshare_user(user, group, 0)
    _call(_libc.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.chdir(folder)


def _unshare_user(user: int, group: int, also: int) -> None:
    """Begin a user namespace in which we are who we were; within it, we may do all."""
    _call(_libc.unshare, _CLONE_NEWUSER | also)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")


def _cover(hidden: list[str], kept: list[str]) -> None:
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    # Each is found again by what is open, whatever lies over its name by then.
    held = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in kept}
    for path in hidden:
        _hide(Path(path))
    temporary = [path for path in _TEMPORARY if Path(path).is_dir()]
    for path in temporary:
        _mount(f"/proc/self/fd/{held[kept[0]]}", path, None, _MS_BIND | _MS_REC)
    for path, descriptor in sorted(held.items()):  # one may lie in another
        Path(path).mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)
        os.close(descriptor)
    _write_protect(["/proc", *temporary, *kept])


def _closed(kept: list[str]) -> list[str]:
    """Return the outermost folder around each of ``kept`` that not everybody may pass, if any."""
    found = dict[str, None]()
    for path in kept:
        around = reversed(Path(path).parents)
        closed = (one for one in around if not one.stat().st_mode & 0o001)
        found |= {str(one): None for one in list(closed)[:1]}
    return list(found)


def _hide(path: Path) -> None:
    # What we can't reach, the command can't either.
    with suppress(FileNotFoundError, PermissionError):
        real = path.resolve(strict=True)
        if real.is_dir():
            _mount("none", str(real), "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=64k")
        else:
            _mount("/dev/null", str(real), None, _MS_BIND)


def _write_protect(except_for: list[str]) -> None:
    """Make read-only what the system has mounted; devices can be used all the same."""
    try:
        _set_attributes("/", _AT_RECURSIVE, on=_RDONLY)
    except OSError as error:
        if error.errno == errno.ENOSYS:  # before Linux 5.12
            return
        raise
    for path in except_for:
        _set_attributes(path, 0, off=_RDONLY)


def _set_attributes(path: str, flags: int, *, on: int = 0, off: int = 0) -> None:
    attributes = (ctypes.c_uint64 * 4)(on, off, 0, 0)
    where = (ctypes.c_int(_AT_FDCWD), path.encode(), ctypes.c_uint(flags))
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _call(_libc.syscall, _SYS_MOUNT_SETATTR, *where, ctypes.byref(attributes), size)


def _give_away(kept: list[str]) -> None:
    for top in kept:
        for folder, folders, files in os.walk(top):
            for name in chain(("",), folders, files):
                os.lchown(os.path.join(folder, name), _NOBODY, _NOBODY)  # noqa: PTH118


def _end_orphans() -> None:
    """End what the command left at work, before anybody looks at what it made."""
    with suppress(ChildProcessError):
        while True:
            for child in _children():
                os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def _children() -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # Source: proc(5), /proc/pid/stat, field 4, after a name that may hold anything.
            stat = (process / "stat").read_text(errors="replace")
            if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
                yield int(process.name)


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
) -> None:
    words = (word.encode() if word else None for word in (source, target, kind))
    _call(_libc.mount, *words, ctypes.c_ulong(flags), data.encode() if data else None)


def _call(function: object, *arguments: object) -> None:
    if function(*arguments) != 0:  # type: ignore[operator]
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
