"""YAML → documents with file:line:column → specs by address; every problem collected, none raised."""

from reconciler.loader.hosts import check_api_url
from reconciler.loader.load import Loaded, load, without_gc
from reconciler.loader.secrets import check_env_name, how_to_set, parse_ref, resolve_key, resolve_keys

__all__ = [
    "Loaded",
    "check_api_url",
    "check_env_name",
    "how_to_set",
    "load",
    "parse_ref",
    "resolve_key",
    "resolve_keys",
    "without_gc",
]
