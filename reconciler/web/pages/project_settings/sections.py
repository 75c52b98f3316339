"""The forms of a project's declaration: which fields, in which words."""

from reconciler.domain.forge import REGISTRABLE
from reconciler.domain.project import ProjectKind
from reconciler.pipeline.declaring.project_draft import ProjectDraft, belongs_to
from reconciler.web.pages.form_values import Kind
from reconciler.web.pages.project_settings.fields import FieldSpec as Spec
from reconciler.web.pages.project_settings.fields import Group, Section

_FORGES = (
    ("", "as the host of the source tells"),
    *((str(one), str(one)) for one in REGISTRABLE),
)

SOURCE = Section(
    "source",
    "Source",
    (
        Group(
            (
                Spec("url", "Repository elsewhere", hint="https:// or ssh://, without a password."),
                Spec(
                    "repository",
                    "Repository kept here",
                    hint="Its name. A project has one of the two.",
                ),
                Spec("branch", "Branch", hint="Its tip is what should run. Usual: main."),
                Spec("image", "Image", hint="With its tag, which is followed."),
                Spec("compose_path", "Compose file", hint="In the repository."),
                Spec(
                    "watch_paths",
                    "Watched paths",
                    Kind.LINES,
                    "Folders, files and globs, one a line. A commit that changes none of them is "
                    "passed over. Empty: every commit counts.",
                ),
                Spec(
                    "skip_markers",
                    "Heed skip markers",
                    Kind.SWITCH,
                    "[skip cd], [skip ci] and the like in the newest commit pass it over.",
                ),
                Spec(
                    "allow_manifest",
                    "Heed .reconciler.toml",
                    Kind.SWITCH,
                    "The repository may add to this declaration.",
                ),
            )
        ),
    ),
    "where the code or image comes from",
)
RUNS = Section(
    "runs",
    "What runs",
    (
        Group(
            (
                Spec(
                    "expose_service",
                    "Service that people reach",
                    hint="As the compose file has it.",
                ),
                Spec("expose_port", "Its port", Kind.NUMBER, "Needed, both, before it deploys."),
                Spec(
                    "stateful_services",
                    "Stateful services",
                    Kind.LINES,
                    "One a line. They keep data, and are left alone: never pinned, never moved.",
                ),
                Spec("ports", "Ports", Kind.LINES, "One a line, like 8080:80."),
                Spec(
                    "volumes",
                    "Volumes",
                    Kind.LINES,
                    "Named ones, one a line, like data:/var/lib/app.",
                ),
                Spec(
                    "push_images",
                    "Push what is built",
                    Kind.SWITCH,
                    "To the registry that image: names in the compose file.",
                ),
            )
        ),
    ),
    "services, ports and data",
)
ROLL_OUT = Section(
    "roll-out",
    "Roll-out",
    (
        Group(
            (
                Spec(
                    "one_by_one",
                    "One host after another",
                    Kind.SWITCH,
                    "Stops at the first that fails. Else all at once.",
                ),
                Spec(
                    "mend_drift",
                    "Mend what drifted",
                    Kind.SWITCH,
                    "What was changed by hand is put back as it was deployed, by itself.",
                ),
            )
        ),
        Group(
            (
                Spec(
                    "version.port",
                    "Port",
                    Kind.NUMBER,
                    "Of a unit, empty: where its target listens.",
                ),
                Spec("version.path", "Path", hint="Usual: /."),
                Spec(
                    "version.json_path",
                    "Place in the JSON",
                    hint="Like build.commit. Empty: a word of the text.",
                ),
                Spec("version.service", "Service", hint="Empty: the one that people reach."),
                Spec("version.timeout_seconds", "Time for an answer", Kind.DURATION),
                Spec(
                    "version.start_period_seconds",
                    "Time to start",
                    Kind.DURATION,
                    "In which a bad answer is no verdict.",
                ),
                Spec("version.retries", "Bad answers in a row", Kind.NUMBER, "That are a verdict."),
            ),
            Spec(
                "version",
                "Version check",
                Kind.SWITCH,
                "The app itself says over HTTP which commit it is; another one is not verified.",
            ),
        ),
        Group(
            (
                Spec("migration.command", "Command", Kind.COMMAND, "One line; no shell reads it."),
                Spec(
                    "migration.service",
                    "Service",
                    hint="Whose image it runs in. Empty: the one that people reach.",
                ),
                Spec("migration.timeout_seconds", "Time for it", Kind.DURATION),
                Spec(
                    "migration.approval_status",
                    "Status that asks",
                    Kind.NUMBER,
                    "The exit status by which it says that a person has to approve.",
                ),
            ),
            Spec(
                "migration",
                "Migration",
                Kind.SWITCH,
                "A command that runs in the new image before anything is switched.",
            ),
        ),
    ),
    "how a deployment goes, on every host",
)
RULES = Section(
    "rules",
    "Rules",
    (
        Group(
            (
                Spec(
                    "rules.windows",
                    "Deploy windows",
                    Kind.LINES,
                    "One a line, like mon-fri 09:00-17:00 Europe/Berlin. Empty: always open.",
                ),
                Spec(
                    "rules.minimum_image_age_seconds",
                    "Minimum image age",
                    Kind.DURATION,
                    "Since an image that moved behind its tag was first seen, like 3 d or 12 h.",
                ),
                Spec(
                    "rules.approvals",
                    "Approvals",
                    Kind.NUMBER,
                    "People who approve each promotion to it.",
                ),
                Spec(
                    "rules.approvals_expire_after_seconds",
                    "An approval lasts",
                    Kind.DURATION,
                    "After that a new one is needed. Usual: 3 d.",
                ),
            )
        ),
    ),
    "when it may change, and who agrees",
)
ENVIRONMENT = Section(
    "environment",
    "Environment",
    (
        Group(
            (
                Spec(
                    "environment.name",
                    "Name",
                    hint="Like test or production. Empty: the app has one.",
                ),
                Spec(
                    "environment.promoted_from",
                    "Promoted from",
                    hint="The project of the environment before. Empty: it is the first.",
                ),
                Spec(
                    "environment.soak_seconds",
                    "Soak",
                    Kind.DURATION,
                    "How long a revision stands there, verified, before it may come.",
                ),
            )
        ),
    ),
    "which environment of an app it is",
)
FORGE = Section(
    "forge",
    "Commit statuses",
    (
        Group(
            (
                Spec(
                    "commit_statuses",
                    "Tell the forge",
                    Kind.SWITCH,
                    "How each commit fares. Needs the secret forge-token.",
                ),
                Spec("forge", "Forge", Kind.CHOICE, options=_FORGES),
                Spec("forge_url", "Its address", hint="Empty: the host of the source, over https."),
            )
        ),
    ),
    "a mark at each commit in the forge",
)
SECTIONS = {one.key: one for one in (SOURCE, RUNS, ROLL_OUT, RULES, ENVIRONMENT, FORGE)}


def sections_of(kind: ProjectKind) -> dict[str, Section]:
    """Return the sections of a project of ``kind`` by their keys, each with what belongs to it."""
    names = [name for name in ProjectDraft.__slots__ if belongs_to(name, kind)]
    if not kind.deployable:
        names = [name for name in names if name in {"environment", "rules"}]
    cut = {key: section.only(names) for key, section in SECTIONS.items()}
    return {key: section for key, section in cut.items() if section.groups}
