"""What we need of the world, as protocols. Implementations are in ``adapters/`` and ``store/``."""

from reconciler.ports.deployments import DeploymentStore, Transaction
from reconciler.ports.hosts import HostFacts, HostStore, Machine, Machines, OfferedKey
from reconciler.ports.processes import Clock, Command, CommandResult, CommandRunner, LineSink
from reconciler.ports.records import (
    Claim,
    LogLine,
    PollResult,
    PollTask,
    SecretRecord,
    SettingRecord,
    TriggerRecord,
)
from reconciler.ports.sources import (
    Checkouts,
    ComposeReader,
    GitCredentials,
    GitRemote,
    ImageRegistry,
    RegistryCredentials,
    RegistryStatus,
    Repositories,
)
from reconciler.ports.store import (
    PollStore,
    ProjectStore,
    Sealer,
    SecretStore,
    SettingStore,
    Store,
    WatchStore,
)
from reconciler.ports.targets import Engine, Prober, Strategy, TargetReport, Work

__all__ = [
    "Checkouts",
    "Claim",
    "Clock",
    "Command",
    "CommandResult",
    "CommandRunner",
    "ComposeReader",
    "DeploymentStore",
    "Engine",
    "GitCredentials",
    "GitRemote",
    "HostFacts",
    "HostStore",
    "ImageRegistry",
    "LineSink",
    "LogLine",
    "Machine",
    "Machines",
    "OfferedKey",
    "PollResult",
    "PollStore",
    "PollTask",
    "Prober",
    "ProjectStore",
    "RegistryCredentials",
    "RegistryStatus",
    "Repositories",
    "Sealer",
    "SecretRecord",
    "SecretStore",
    "SettingRecord",
    "SettingStore",
    "Store",
    "Strategy",
    "TargetReport",
    "Transaction",
    "TriggerRecord",
    "WatchStore",
    "Work",
]
