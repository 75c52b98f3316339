"""The image of a small server: Debian with systemd and sshd, from the mirror this machine uses."""

import fcntl
import os
import platform
import re
import subprocess
from hashlib import sha256
from pathlib import Path

from tests.parts.docker_engine import CACHE, DockerEngine

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "passwd"),
    *("rsync", "git", "curl", "ca-certificates", "util-linux", "iproute2"),
)
#: The user other than root; what it may do as root is systemctl.
DEPLOY_USER, DEPLOY_UID = "deploy", 1000
#: Nothing reads these; leaving them out takes half of the size.
_LEFT_OUT = ("doc", "man", "info", "locale", "zoneinfo")
#: A container has the boot id of the machine around it; a server has a new one at each start. On a
#: server what one service mounts is seen by systemd: without that, no service gets credentials.
_BOOT = """\
#!/bin/sh
mount --make-rshared /
cat /proc/sys/kernel/random/uuid >/run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
exec /sbin/init
"""
#: Run with the new root's folder as ``$1``, when all packages are there.
_SETUP = f"""\
chroot "$1" useradd --create-home --shell /bin/bash --uid {DEPLOY_UID} {DEPLOY_USER}
echo '{DEPLOY_USER} ALL=(root) NOPASSWD: /usr/bin/systemctl' >"$1/etc/sudoers.d/{DEPLOY_USER}"
rm "$1"/etc/ssh/ssh_host_*
: >"$1/etc/machine-id"
printf '%s' '{_BOOT}' >"$1/sbin/boot"
chmod 755 "$1/sbin/boot"
"""
#: How apt reaches its mirrors here: proxies, certificates, a clock that is wrong.
_WAY_OUT = re.compile(r"Acquire::(https?|Check|Retries|Proxy)\b", re.IGNORECASE)


class ImageFailed(Exception):
    """The image could not be made; the message holds the end of what was said."""


def systemd_image(engine: DockerEngine) -> str:
    """Return the reference of the image in ``engine``, which keeps it; the first call makes it.

    Making it takes 20 s of an idle machine with two cores, and 130 MB from the Debian mirror that
    this machine's apt is set to.

    Raises:
        ImageFailed: apt knows no mirror of this release, or it does not answer.
    """
    folder = CACHE / "systemd-host"
    folder.mkdir(parents=True, exist_ok=True)
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    recipe = sha256("\0".join((release, *_options())).encode()).hexdigest()[:12]
    tag = f"reconciler-tests/systemd:{recipe}"
    with (folder / "make.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not engine.docker("images", "--quiet", tag):
            archive = folder / f"{recipe}.tar"
            if not archive.exists():
                _make(archive, release)
            engine.docker("import", archive, tag)
    return tag


def _make(archive: Path, release: str) -> None:
    """Make ``archive``, whole or not at all, and remove those of other recipes."""
    for older in archive.parent.glob("*.tar"):
        older.unlink()
    part = archive.with_suffix(".part")
    way_out = archive.with_name("apt.conf")
    way_out.write_text(_way_out())
    done = subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--mode=root", "--format=tar", *_options()),
            *(f"--aptopt={way_out}", release, part, _mirror(release)),
        ],
        # Room for the whole system, which a /tmp in memory need not have.
        env={**os.environ, "TMPDIR": str(archive.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise ImageFailed(f"mmdebstrap ended with {done.returncode}: {done.stderr[-2000:]}")
    part.replace(archive)


def _options() -> list[str]:
    return [
        "--variant=essential",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT),
        "--dpkgopt=force-unsafe-io",
        "--aptopt=Apt::Install-Recommends false",
        "--aptopt=Acquire::Languages none",
        f"--customize-hook={_SETUP}",
    ]


def _mirror(release: str) -> str:
    """Return the URL that this machine's apt has the packages of ``release`` from."""
    if url := _find_mirror(release):
        return url
    # It names only those that it has the lists of, and images of machines come without.
    _ask_apt("apt-get", "--quiet", "update")
    if url := _find_mirror(release):
        return url
    raise ImageFailed(f"apt has no source for {release} main on this machine")


def _find_mirror(release: str) -> str:
    form = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    for line in _ask_apt("apt-get", "indextargets", "--format", form).splitlines():
        suite, component, url = line.split(maxsplit=2)
        if (suite, component) == (release, "main"):
            return url
    return ""


def _way_out() -> str:
    settings = _ask_apt("apt-config", "dump").splitlines()
    return "".join(f"{line}\n" for line in settings if _WAY_OUT.match(line))


def _ask_apt(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True).stdout
