"""Who asks an API server for what, and whether RBAC lets them."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.parts.http_server import Request
from tests.parts.kubernetes_objects import ApiFailure, Object, qualified

_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


@dataclass(frozen=True)
class Rule:
    """What a role allows, as RBAC's ``PolicyRule``."""

    groups: Sequence[str]
    resources: Sequence[str]
    verbs: Sequence[str]

    @classmethod
    def of(cls, rule: Object) -> "Rule":
        """Read one of a manifest's rules."""
        return cls(rule["apiGroups"], rule["resources"], rule["verbs"])

    def allows(self, verb: str, group: str, resource: str) -> bool:
        """Say whether it covers that."""
        return verb in self.verbs and group in self.groups and resource in self.resources


@dataclass
class User:
    """Who a token is of, and what they may do; an administrator without rules may all."""

    name: str
    rules: Sequence[Rule] | None = None
    namespace: str = ""
    expired: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as authorization sees it."""

    verb: str
    group: str
    resource: str  #: with its subresource, e.g. ``pods/log``
    namespace: str
    name: str
    user: str


def asked_of(request: Request, user: User) -> Asked:
    """Return what a path means. Source: "Kubernetes API Concepts", resource URIs."""
    parts = request.path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    elif parts[0] == "api" and len(parts) > 2:
        group, rest = "", parts[2:]
    else:
        raise ApiFailure(404, "NotFound", "the server could not find the requested resource")
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = "/".join([rest[0], *rest[2:3]])
    name = rest[1] if len(rest) > 1 else ""
    verb = _VERBS.get(request.method, request.method.lower())
    if verb == "get" and not name:
        verb = "watch" if request.query.get("watch") in (["true"], ["1"]) else "list"
    return Asked(verb, group, resource, namespace, name, user.name)


def may(user: User, asked: Asked) -> bool:
    """Say whether RBAC allows it."""
    if user.rules is None:
        return True
    return asked.namespace == user.namespace and any(
        rule.allows(asked.verb, asked.group, asked.resource) for rule in user.rules
    )


def forbidden(asked: Asked) -> ApiFailure:
    """Return how RBAC says no."""
    resource = qualified(asked.resource.partition("/")[0])
    named = f'{resource} "{asked.name}"' if asked.name else resource
    message = (
        f'{named} is forbidden: User "{asked.user}" cannot {asked.verb} resource '
        f'"{asked.resource}" in API group "{asked.group}" in the namespace "{asked.namespace}"'
    )
    return ApiFailure(403, "Forbidden", message)
