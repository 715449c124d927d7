"""An engine that somebody else wrote, named by `QUEUES_STORAGE`."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from ..errors import ConfigError, QueuesError
from .base import Storage


def custom_storage(name: str, app: Any) -> Storage:
    """Import the class that `package.module:Class` names and let it make its storage for this application.

    Raises `ConfigError` for whatever is wrong with the class.
    """
    storage_class = find_class(name)
    try:
        made: Any = storage_class.from_app(app)
    except QueuesError:
        raise
    except Exception as error:
        raise wrong(name, f"{storage_class.__name__}.from_app raised {said(error)}.") from error
    if not isinstance(made, Storage):
        raise wrong(name, f"{storage_class.__name__}.from_app returned {type(made).__name__}, which is no Storage.")
    return made


def find_class(name: str) -> type[Storage]:
    """Import a class and see to it that it is a whole engine."""
    module_name, _, class_name = name.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:
        raise wrong(name, f"the module {module_name} cannot be imported: {said(error)}.") from error
    found = getattr(module, class_name, None)
    if found is None:
        raise wrong(name, f"the module {module_name} has no {class_name}.")
    if not (isinstance(found, type) and issubclass(found, Storage)):
        raise wrong(name, f"{class_name} is not a subclass of flask_queues.storage.Storage.")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise wrong(name, f"{class_name} lacks {missing}; flask_queues.storage.base says what each has to do.")
    return found


def wrong(name: str, why: str) -> ConfigError:
    """Say what is wrong with the class that a configuration names."""
    return ConfigError(f"QUEUES_STORAGE = {name!r}: {why}")


def said(error: Exception) -> str:
    """Name an exception with the first line of its message."""
    message = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
