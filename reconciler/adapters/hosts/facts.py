"""What a machine says of itself: one script, run here or there."""

from datetime import timedelta

from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.host import HostName
from reconciler.ports import Command, CommandResult, HostFacts

_SCRIPT = """
uid=$(id -u)
echo "uid $uid"
echo "user $(id -un 2>/dev/null || echo "$uid")"
test -d /run/systemd/system && echo 'systemd yes'
for tool in git rsync flock curl docker; do
    command -v "$tool" >/dev/null 2>&1 && echo "tool $tool"
done
docker compose version >/dev/null 2>&1 && echo 'tool compose'
folder=/opt/apps
test -d "$folder" || folder=/
df -Pk "$folder" 2>/dev/null | while read -r _ _ _ free _; do echo "free $free"; done
exit 0
"""

ASK_FACTS = Command(
    ("sh", "-c", _SCRIPT), timeout=timedelta(seconds=30), output_limit_bytes=1 << 16
)


def parse_facts(name: HostName, result: CommandResult) -> HostFacts:
    """Return what the script printed.

    Raises:
        PreconditionFailed: it did not come to its end.
    """
    said = [line.partition(" ")[::2] for line in result.stdout.splitlines()]
    values = dict(said)
    if not result.ok or not {"user", "uid"} <= values.keys():
        problem = "took too long" if result.timed_out else result.stderr_tail.strip()[-200:]
        raise PreconditionFailed(f"host {name} can't say what it is: {problem}", host=name)
    return HostFacts(
        user=values["user"],
        is_root=values["uid"] == "0",
        has_systemd="systemd" in values,
        tools=frozenset(value for key, value in said if key == "tool"),
        free_bytes=_bytes(values.get("free", "")),
    )


def _bytes(kibibytes: str) -> int | None:
    """Return what ``df`` said, whose head is the first line; None: it said nothing."""
    return int(kibibytes) << 10 if kibibytes.isdecimal() and len(kibibytes) < 16 else None
