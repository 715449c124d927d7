"""What failures have in common: those of one cause share a key, however much their values differ."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from hashlib import blake2b
from typing import NamedTuple

from .masking import masked_text, secrets_in
from .record import JobError, JobRecord

FRAME = re.compile(r'File "(?P<file>[^"]+)", line \d+, in (?P<name>\S+)')
#: Below one of these lies what somebody else has written.
FOREIGN = re.compile(r"[/\\](?:site-packages|dist-packages|lib[/\\]python3(?:\.\d+)?|flask_queues)[/\\]|^<frozen ")
HEAD = "(most recent call last):"
#: A quoted value; an apostrophe within a word begins none.
QUOTED = re.compile(r"""(?<!\w)(?P<quote>['"`]).*?(?P=quote)(?!\w)""")
#: A word with a digit in it: a number, an id, an address, a time.
COUNTED = re.compile(r"(?<![\w-])[\w-]*\d(?:[\w.:-]*\w)?")
#: So much of a message is looked at, so that its length never slows the count.
LOOKED_AT = 1000
MAX_MESSAGE = 200


class Cause(NamedTuple):
    """What failed jobs have in common."""

    #: 16 hexadecimal digits; the same in every process and version of the application.
    key: str
    #: The exception's class with its module.
    type: str
    #: The message with `…` for each quoted value and `#` for each number or id.
    message: str
    #: `app/mail.py:send`, the innermost frame of the application's own; empty where there is none.
    frame: str
    #: The message of one of them, its secrets hidden, for people; it tells no cause from another.
    example: str = ""


def cause_of(error: JobError, root: str) -> Cause:
    """Say of what cause a failure is. `root` is the folder of the application, which may differ from host to host.

    The number of the line is left out: it moves with each change of the file.
    """
    message, frame = normalised(error.message), own_frame(error.traceback, root)
    text = json.dumps([error.type, message, frame])
    return Cause(blake2b(text.encode(), digest_size=8).hexdigest(), error.type, message, frame)


def cause_of_job(job: JobRecord, root: str = "", hidden: Collection[str] = ()) -> Cause | None:
    """Say of what cause a job has failed, without the secrets that its error repeats; None where it has no error.

    `hidden` names the fields of its payload that are secret.
    """
    if job.error is None:
        return None
    secrets = {*secrets_in(job.payload, hidden), *secrets_in(job.result, hidden)}
    message = masked_text(job.error.message, secrets)
    return cause_of(job.error._replace(message=message), root)._replace(example=message[:MAX_MESSAGE])


def normalised(message: str) -> str:
    """Write a message without what differs from failure to failure."""
    text = QUOTED.sub("…", " ".join(message[:LOOKED_AT].split()))
    return COUNTED.sub("#", text)[:MAX_MESSAGE]


def own_frame(trace: str, root: str) -> str:
    """The innermost frame of the application's own that the exception went through."""
    own = [match for match in FRAME.finditer(trace.rpartition(HEAD)[2]) if not FOREIGN.search(match["file"])]
    return f"{shortened(own[-1]['file'], root)}:{own[-1]['name']}" if own else ""


def shortened(file: str, root: str) -> str:
    """A path from the application's folder on; its last two parts where it lies elsewhere."""
    folder, parts = root.replace("\\", "/").rstrip("/") + "/", file.replace("\\", "/")
    return parts[len(folder) :] if parts.startswith(folder) else "/".join(parts.split("/")[-2:])
