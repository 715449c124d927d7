"""Keys that are made at the first start: what signs sessions, and what encrypts jobs."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet


def for_sessions() -> str:
    return secrets.token_hex(32)


def for_jobs() -> str:
    return Fernet.generate_key().decode()


def kept_in(path: Path, make: Callable[[], str]) -> str:
    """The key in this file, which only its owner can read; the first process to ask writes it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(make())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            draft.unlink()
    return path.read_text()
