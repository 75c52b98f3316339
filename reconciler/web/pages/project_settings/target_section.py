"""The form of a target: which fields, in which words."""

from collections.abc import Sequence

from reconciler.domain.host import LOCAL
from reconciler.domain.project import ProjectKind
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.declaring.target_draft import TargetDraft, belongs_to, strategies_of
from reconciler.web.pages.form_values import Kind
from reconciler.web.pages.project_settings.fields import FieldSpec as Spec
from reconciler.web.pages.project_settings.fields import Group, Section

_CLUSTER = TargetStrategy.KUBERNETES
_HTTP, _TCP, _COMMAND = ("http",), ("tcp",), ("command",)


def _check(name: str, label: str, hint: str) -> Group:
    return Group(
        (
            Spec(
                f"{name}.port",
                "Port",
                Kind.NUMBER,
                "Empty: the target’s own.",
                only=(*_HTTP, *_TCP),
            ),
            Spec(f"{name}.path", "Path", hint="Usual: /.", only=_HTTP),
            Spec(f"{name}.status", "Good statuses", hint="Like 200 or 200-399.", only=_HTTP),
            Spec(
                f"{name}.text",
                "Text in the answer",
                hint="{commit} in it is the commit that is deployed.",
                only=_HTTP,
            ),
            Spec(
                f"{name}.command",
                "Command",
                Kind.COMMAND,
                "Well where it ends with status 0.",
                only=_COMMAND,
            ),
            Spec(
                f"{name}.origin",
                "Asked from",
                Kind.CHOICE,
                options=(("", "usual: the host"), ("host", "the host"), ("daemon", "the daemon")),
            ),
            Spec(
                f"{name}.start_period_seconds",
                "Time to start",
                Kind.DURATION,
                "In which a bad answer is no verdict.",
            ),
            Spec(f"{name}.interval_seconds", "Between two answers", Kind.DURATION),
            Spec(f"{name}.timeout_seconds", "Time for an answer", Kind.DURATION),
            Spec(f"{name}.retries", "Bad answers in a row", Kind.NUMBER, "That are a verdict."),
            Spec(f"{name}.successes", "Good answers in a row", Kind.NUMBER, "That are well."),
        ),
        Spec(
            f"{name}.kind",
            label,
            Kind.CHOICE,
            hint,
            options=(("", "none"), ("http", "HTTP"), ("tcp", "TCP"), ("command", "a command")),
        ),
    )


def target_section(kind: ProjectKind, target: Target | None, *, whole: bool) -> Section:
    """Return the form of a target.

    Args:
        kind: of the project.
        target: as it is declared; None: it is a new one.
        whole: whether its checks may be changed, not only the path that they ask for.
    """
    in_cluster = target is not None and target.strategy is _CLUSTER
    suits: Sequence[TargetStrategy] = (_CLUSTER,) if in_cluster else _plain(kind)
    names = [name for name in TargetDraft.__slots__ if any(belongs_to(name, one) for one in suits)]
    without = {"host"} if target is not None else set()
    if target is not None and target.host == LOCAL:
        without |= {"confirm_within_seconds", *(("folder",) if target.keeps_volumes else ())}
    without |= {"compose_files", "base"} if kind is ProjectKind.IMAGE else set()
    without |= {"port"} if kind.runs_containers else set()  # each check names its own
    without |= {"health_path", "ready_path"} if whole else set()
    section = Section("target", "Target", (_place(suits), *_CHECKS))
    return section.only([name for name in names if name not in without])


def _plain(kind: ProjectKind) -> Sequence[TargetStrategy]:
    """Return the strategies that need no more than the fields of this form."""
    return [one for one in strategies_of(kind) if one is not _CLUSTER]


def _place(strategies: Sequence[TargetStrategy]) -> Group:
    options = tuple((str(one), str(one)) for one in strategies)
    return Group(
        (
            Spec("host", "Host", hint="One that was declared, or local: the daemon’s own machine."),
            Spec("strategy", "Strategy", Kind.CHOICE, "How it changes there.", options),
            Spec("folder", "Folder", hint="On the host. Empty: /opt/apps/ and the project’s name."),
            Spec("source_folder", "Source folder", hint="In the repository. Empty: its top."),
            Spec(
                "build",
                "Build",
                Kind.COMMAND,
                "Runs in the source folder; no shell reads it. Empty: no build.",
            ),
            Spec("binary", "Binary", hint="What the unit runs, below the source folder."),
            Spec(
                "files", "More files", Kind.LINES, "Files or folders that go with it, one a line."
            ),
            Spec("user", "User", hint="Whom the unit runs as. Empty: root."),
            Spec("port", "Port", Kind.NUMBER, "Where it listens; the unit gets it as PORT."),
            Spec("image", "Image", hint="Of a promoted project: whose folder is the release."),
            Spec("image_folder", "Folder in it", hint="Empty: /app."),
            Spec("compose_files", "More compose files", Kind.LINES, "One a line; later ones win."),
            Spec("base", "Base", hint="What relative paths start from. Empty: the work tree."),
            Spec("namespace", "Namespace"),
            Spec(
                "environment",
                "Variables",
                Kind.PAIRS,
                "NAME=value, one a line. None that is secret: those are under Secrets.",
            ),
            Spec(
                "confirm_within_seconds",
                "Confirmed within",
                Kind.DURATION,
                "Else the host goes back by itself: it may have lost us. Not on local.",
            ),
            Spec("health_path", "Health path", hint="Asked over HTTP."),
            Spec("ready_path", "Ready path", hint="Asked over HTTP."),
        )
    )


_CHECKS = (
    _check("health", "Health check", "How one asks whether it is well."),
    _check("ready", "Ready check", "Whether it takes requests; both have to pass."),
)
