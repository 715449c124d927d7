"""Where files are kept, and how they are written: whole or not at all."""

import os
import tempfile
from pathlib import Path

from flask import current_app


def folder(name: str) -> Path:
    """`originals`, `thumbnails`, `looks`, `albums` or `outbox` in the data folder."""
    path = Path(current_app.instance_path) / name
    path.mkdir(exist_ok=True)
    return path


def original(file: str) -> Path:
    return folder("originals") / file


def thumbnail(picture_id: int, size: str) -> Path:
    return folder("thumbnails") / f"{picture_id}-{size}.webp"


def look(picture_id: int, name: str) -> Path:
    return folder("looks") / f"{picture_id}-{name}.webp"


def mail(mail_id: int) -> Path:
    return folder("outbox") / f"mail-{mail_id:05}.eml"


def album(job_id: str) -> Path:
    return folder("albums") / f"{job_id}.pdf"


def archive() -> Path:
    """What is left of jobs that were deleted, a line each."""
    return Path(current_app.instance_path) / "archive.txt"


def write(path: Path, content: bytes) -> int:
    """Write the whole file or nothing: a reader never meets half of it, however often the job is repeated."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as draft:
        try:
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())
            Path(draft.name).replace(path)
        except BaseException:
            Path(draft.name).unlink()
            raise
    return len(content)
