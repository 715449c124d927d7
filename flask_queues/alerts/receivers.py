"""Who is called with alerts: functions, and those that a configuration can only name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..errors import ConfigError
from .alert import Alert

Receiver = Callable[[Alert], Any]


def receiver_named(name: str) -> Receiver:
    """Import the function that `package.module:function` names; raises `ConfigError` where there is none.

    Not before it is needed: the module may be the one in which the application is being made.
    """
    module_name, _, path = name.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:
        raise wrong(name, f"the module {module_name} cannot be imported: {type(error).__name__}: {error}") from error
    found: Any = getattr(module, path, None)
    if not callable(found):
        raise wrong(name, f"the module {module_name} has no function {path}.")
    return found  # type: ignore[no-any-return]


def wrong(name: str, why: str) -> ConfigError:
    """Say what is wrong with the function that a configuration names."""
    return ConfigError(f"QUEUES_ALERT_RECEIVER = {name!r}: {why}")
