"""Images of workloads in Kubernetes clusters, set by digest."""

from reconciler.strategies.kubernetes.patience import Patience
from reconciler.strategies.kubernetes.strategy import KubernetesStrategy

__all__ = ["KubernetesStrategy", "Patience"]
