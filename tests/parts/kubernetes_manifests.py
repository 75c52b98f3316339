"""Workloads to be created, in the double and in real clusters."""

from dataclasses import dataclass, field

from tests.parts.kubernetes_objects import Object


@dataclass(frozen=True)
class Workload:
    """A workload to be created; ``manifest`` is what real clusters take as well."""

    name: str = "web"
    kind: str = "Deployment"
    images: dict[str, str] = field(default_factory=lambda: {"web": "registry.example/web:1"})
    spec: Object = field(default_factory=dict)  #: more of it, e.g. ``replicas``
    container: Object = field(default_factory=dict)  #: more of each container, e.g. ``command``

    @property
    def manifest(self) -> Object:
        """As JSON has it."""
        labels = {"app": self.name}
        containers = [
            {"name": name, "image": image} | self.container for name, image in self.images.items()
        ]
        spec: Object = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        }
        if self.kind == "StatefulSet":
            spec["serviceName"] = self.name
        if self.kind != "DaemonSet":
            spec["replicas"] = 2
        return {
            "apiVersion": "apps/v1",
            "kind": self.kind,
            "metadata": {"name": self.name, "labels": labels},
            "spec": spec | self.spec,
        }
