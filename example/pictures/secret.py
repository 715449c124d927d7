"""The key that signs sessions, made at the first start."""

import os
import secrets
from pathlib import Path


def kept_in(path: Path) -> str:
    """The key in this file, which only its owner can read; the first process to ask writes it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            draft.unlink()
    return path.read_text()
