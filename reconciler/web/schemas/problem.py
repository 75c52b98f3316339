"""RFC 9457 problem details: every error that the API answers."""

from reconciler.web.schemas.body import Answer, said


class FieldProblem(Answer):
    """One wrong field of several."""

    field: str = said("Dotted path of the field.", "ports.0")
    detail: str = said(
        "What is wrong with it, and what would be right.",
        "ports.0: '80:' is not a port like '8080:80'",
    )


class ReasonBody(Answer):
    """One reason, for people and for programs."""

    code: str = said("Stable code.", "expose-missing")
    text: str = said("The same in a sentence.", "expose_service and expose_port are not both set")
    deployment: int | None = said("The deployment that it speaks of.", 42, default=None)


class Problem(Answer):
    """What went wrong, for people and for programs."""

    type: str = said(
        "Always `about:blank`: `code` names the kind of problem.",
        "about:blank",
        default="about:blank",
    )
    title: str = said("The status in words.", "Unprocessable Content")
    status: int = said("The HTTP status.", 422)
    code: str = said("Stable code of the problem.", "invalid-reference")
    detail: str = said(
        "What is wrong with this request.",
        "branch: '-h' is not a branch name like 'main' or 'release/1.2'",
    )
    field: str | None = said("Which field is wrong, where it is one.", "branch", default=None)
    remedy: str | None = said("What helps.", "choose another name", default=None)
    evidence: dict[str, str] | None = said("What was seen.", {"host": "git.example"}, default=None)
    reasons: list[ReasonBody] | None = said(
        "Why a deployment was refused, all of it.",
        [{"code": "expose-missing", "text": "expose_service and expose_port are not both set"}],
        default=None,
    )
    problems: list[FieldProblem] | None = said(
        "Every wrong field, where there are several.",
        [{"field": "name", "detail": "name: 'A' must be 1 to 63 of a-z, 0-9 and '-'"}],
        default=None,
    )
    request: str | None = said(
        "Names this request in the daemon's log.", "5f0c2b1a9d3e4c77", default=None
    )
