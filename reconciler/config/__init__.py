"""What the operator asked for: config.toml and environment → ``Config``; reads both alone."""

from reconciler.config.declaration import Config
from reconciler.config.reading import Api, find_api, load_config
from reconciler.config.values import Listen

__all__ = ["Api", "Config", "Listen", "find_api", "load_config"]
