"""A storage in which nobody can read what jobs are about: encrypted on the way in, decrypted on the way out.

Encrypted are payloads, results, messages and tracebacks of errors, log lines, messages of progress, what jobs keep for
their next run, what comes after them in a chain, schedules, and the sheets of causes, batches, chains, activity and
orders to workers.
Not encrypted, since the storage works with them: ids, queues, types, tags, keys, priorities, times, the classes of
exceptions, reasons of cancellations, what pushes say and carry: options, id and language of a request; and the sheets
that hold nothing else (`figures.PLAIN`). Fernet is authenticated: what was changed is not decrypted.

An encrypted text is a JSON object with the one name `MARK`, so that it is told from one stored before there were keys.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..damaged import whole, whole_line
from ..errors import ConfigError
from ..payload import MARK
from ..record import JobError, JobRecord, LogLine, Page, Progress, Status
from .base import Storage
from .figures import PLAIN
from .payloads import differs
from .values import Claim, Heartbeat, NewJob, Occurrence, PendingStep, Query, Schedule, Settlement, Step, Wanted

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

    from .figures import Ended
    from .outdated import Outdated

#: An encrypted text within what is stored, behind the quotes and backslashes of any JSON around it.
TOKEN = re.compile(rf"({re.escape(MARK)}[\\\":\s]+)([A-Za-z0-9_-]{{40,}}={{0,2}})")
#: The options that say what comes after a job, as JSON text.
AFTER = ("rest", "then")
#: What a person reads in place of a text that no key opens.
CLOSED = "(encrypted with a key that QUEUES_ENCRYPTION_KEYS does not hold)"


def sealed(storage: Storage, keys: Sequence[str]) -> Storage:
    """Put a storage behind encryption; the first key encrypts, each decrypts.

    Raises `ConfigError` where cryptography is not installed.
    """
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError as error:
        raise ConfigError(
            'QUEUES_ENCRYPTION_KEYS needs cryptography: pip install "flask-queues-panel[encryption]"'
        ) from error
    fernets = [Fernet(key) for key in keys]
    return cast("Storage", Sealed(storage, Cipher(MultiFernet(fernets), fernets[0])))


def names_of(keys: Sequence[str]) -> tuple[str, ...]:
    """Names by which others see whether they hold these keys too; a key is random, so none is found by its name."""
    return tuple(hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys)


def unsealed(storage: Storage) -> Storage:
    """The storage itself, whether or not it is behind encryption."""
    return storage.inner if isinstance(storage, Sealed) else storage


class Cipher:
    """Encrypts and decrypts texts, and what is made of them."""

    def __init__(self, fernet: MultiFernet, first: Fernet) -> None:
        self._fernet = fernet
        self._first = first

    def shut(self, text: str | None) -> str | None:
        """Encrypt JSON text."""
        return None if text is None else json.dumps({MARK: self._fernet.encrypt(text.encode()).decode()})

    def open(self, text: str | None) -> str | None:
        """Decrypt JSON text; what no key opens, and what was never encrypted, stays as it is."""
        if text is None or MARK not in text:
            return text
        try:
            found = self.read(json.loads(text))
        except ValueError:  # cut off, or written over: whoever reads it says so
            return text
        return text if found is None else found

    def read(self, value: Any) -> str | None:
        """Decrypt a value that may be an encrypted text; None where it is none, or no key opens it."""
        from cryptography.fernet import InvalidToken

        if not isinstance(value, dict) or value.keys() != {MARK}:
            return None
        try:
            return self._fernet.decrypt(value[MARK]).decode()
        except (InvalidToken, TypeError):
            return None

    def renewed(self, text: str) -> tuple[str, int]:
        """Encrypt with the first key what stands encrypted with another in a stored text, in whatever form.

        Tells how many there are that no key opens, too; they stay.
        """
        from cryptography.fernet import InvalidToken

        closed = 0

        def renew(found: re.Match[str]) -> str:
            nonlocal closed
            token = found[2]
            with suppress(InvalidToken):
                self._first.decrypt(token)
                return found[0]
            try:
                return found[1] + self._fernet.rotate(token).decode()
            except InvalidToken:
                closed += 1
                return found[0]

        return TOKEN.sub(renew, text) if MARK in text else text, closed

    def open_value(self, value: Any) -> Any:
        """Decrypt a value that was read from JSON text."""
        found = self.read(value)
        return value if found is None else json.loads(found)

    def shut_words(self, words: str) -> str:
        """Encrypt a text for people."""
        return self.shut(json.dumps(words)) or "" if words else words

    def open_words(self, words: str) -> str:
        """Decrypt a text for people."""
        if not words.startswith(f'{{"{MARK}'):
            return words
        try:
            found = self.read(json.loads(words))
        except ValueError:
            return words
        return CLOSED if found is None else json.loads(found)

    def shut_error(self, text: str | None) -> str | None:
        """Encrypt message and traceback of an error."""
        if text is None:
            return None
        kind, message, trace = json.loads(text)
        return json.dumps([kind, self.shut_words(message), self.shut_words(trace)])

    def open_error(self, text: str | None) -> str | None:
        """Decrypt them."""
        if text is None or MARK not in text:
            return text
        try:
            kind, message, trace = json.loads(text)
        except ValueError:
            return text
        return json.dumps([kind, self.open_words(message), self.open_words(trace)])

    def shut_line(self, line: LogLine) -> LogLine:
        """Encrypt a line of the log."""
        return line._replace(message=self.shut_words(json.dumps([line.message, line.context])), context={})

    def open_line(self, line: LogLine) -> LogLine:
        """Decrypt it."""
        if MARK not in line.message:
            return line
        words = self.open_words(line.message)
        message, context = (words, {}) if words == CLOSED else json.loads(words)
        return line._replace(message=message, context=context)


class Renewed(NamedTuple):
    """What became of something that was to be encrypted with the first key."""

    #: Whether it was.
    written: bool
    #: Texts in it that no key opens.
    closed: int


class Sealed:
    """What of a storage carries texts, with encryption; everything else is the storage's own."""

    def __init__(self, inner: Storage, cipher: Cipher) -> None:
        object.__setattr__(self, "inner", inner)
        object.__setattr__(self, "_cipher", cipher)

    inner: Storage
    _cipher: Cipher

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.inner, name, value)

    # On the way in

    def push(self, jobs: Sequence[NewJob], bounds: Mapping[str, int] | None = None) -> list[bool]:
        """Encrypt payloads."""
        return self.inner.push([self._shut_job(job) for job in jobs], bounds)

    def push_unique(self, job: NewJob, bounds: Mapping[str, int] | None = None) -> str:
        """Encrypt its payload."""
        return self.inner.push_unique(self._shut_job(job), bounds)

    def put_schedule(
        self, schedule: Schedule, jobs: Sequence[NewJob] = (), occurrences: Sequence[Occurrence] = ()
    ) -> int:
        """Encrypt what a schedule says, and the payloads of its jobs."""
        shut = schedule._replace(about=self._cipher.shut(schedule.about) or "")
        return self.inner.put_schedule(shut, [self._shut_job(job) for job in jobs], occurrences)

    def note(self, job_id: str, token: int, progress: Progress | None = None, logs: Sequence[LogLine] = ()) -> bool:
        """Encrypt what a running job says."""
        lines = [self._cipher.shut_line(line) for line in logs]
        return self.inner.note(job_id, token, self._shut_progress(progress), lines)

    def keep(self, job_id: str, token: int, text: str) -> bool:
        """Encrypt what it keeps."""
        return self.inner.keep(job_id, token, self._cipher.shut_words(text))

    # In and out

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Encrypt what has become of jobs, decrypt the next ones."""
        return self._open_step(self.inner.step(worker, [self._shut_end(one) for one in settled], wanted))

    def begin_step(self, worker: str, settled: Sequence[Settlement], wanted: Wanted) -> PendingStep | None:
        """The same, with the answer later."""
        pending = self.inner.begin_step(worker, [self._shut_end(one) for one in settled], wanted)
        return None if pending is None else Opening(self, pending)

    # On the way out

    def claim(self, worker: str, job_id: str, lease: int) -> Claim | None:
        """Decrypt a claim."""
        claim = self.inner.claim(worker, job_id, lease)
        return None if claim is None else self._open_claim(claim)

    def claims_of(self, worker: str) -> list[Claim]:
        """Decrypt claims."""
        return [self._open_claim(claim) for claim in self.inner.claims_of(worker)]

    def stalled(self) -> list[Claim]:
        """Decrypt claims."""
        return [self._open_claim(claim) for claim in self.inner.stalled()]

    def heartbeat(self, worker: Any, lease: int) -> Heartbeat:
        """Decrypt the claims that are to be cancelled."""
        heartbeat = self.inner.heartbeat(worker, lease)
        return heartbeat._replace(to_cancel=[self._open_claim(claim) for claim in heartbeat.to_cancel])

    def kept(self, job_id: str) -> str | None:
        """Decrypt what a job has kept; None where no key opens it."""
        text = self.inner.kept(job_id)
        words = None if text is None else self._cipher.open_words(text)
        return None if words == CLOSED else words

    def get(self, job_id: str) -> JobRecord | None:
        """Decrypt a record."""
        record = self.inner.get(job_id)
        return None if record is None else self._open_record(record)

    def page(self, query: Query) -> Page:
        """Decrypt records."""
        page = self.inner.page(query)
        return page._replace(jobs=tuple(self._open_record(record) for record in page.jobs))

    def outdated(self, which: Outdated, limit: int = 100) -> list[JobRecord]:
        """Decrypt records."""
        return [self._open_record(record) for record in self.inner.outdated(which, limit)]

    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """Decrypt lines."""
        return [whole_line(partial(self._cipher.open_line, line)) for line in self.inner.logs(job_id, limit)]

    def ended(self, since: int, until: int, sample: int) -> Ended:
        """Decrypt what was read."""
        found = self.inner.ended(since, until, sample)
        return found._replace(sample=[(self._open_record(record), n) for record, n in found.sample])

    def sheets(self, names: Collection[str]) -> dict[str, str]:
        """Decrypt texts; one that no key opens stays closed."""
        return {name: self._cipher.open(text) or "" for name, text in self.inner.sheets(names).items()}

    def write_sheets(self, seen: tuple[str, str | None], sheets: Mapping[str, str | None]) -> bool:
        """Encrypt texts. The storage compares what is stored, and no text is encrypted to the same twice."""
        name, text = seen
        stored = self.inner.sheets([name]).get(name)
        if self._cipher.open(stored) != text:
            return False
        shut = {name: text if PLAIN.fullmatch(name) else self._cipher.shut(text) for name, text in sheets.items()}
        return self.inner.write_sheets((name, stored), shut)

    def change_payload(self, job_id: str, payload: str, seen: str) -> Status | None:
        """Compare what is decrypted, then write over the very text that was; none is encrypted to the same twice."""
        record = self.inner.get(job_id)
        if record is None or record.status is Status.RUNNING:
            return None if record is None else record.status
        stored = json.dumps(record.payload)
        if not differs(job_id, self._cipher.open(stored) or "", payload, seen):
            return record.status
        return self.inner.change_payload(job_id, self._cipher.shut(payload) or "", stored)

    def change_options(self, job_id: str, turn: Callable[[str | None], str | None]) -> Status | None:
        """Turn what is decrypted; where that changes nothing, what is stored stays."""

        def turned(stored: str | None) -> str | None:
            before = self.open_options(stored)
            after = turn(before)
            return stored if after == before else self._shut_options(after)

        return self.inner.change_options(job_id, turned)

    def schedules(self) -> list[Schedule]:
        """Decrypt what schedules say."""
        return [one._replace(about=self._cipher.open(one.about) or "") for one in self.inner.schedules()]

    # With the first key

    def renew_job(self, job_id: str) -> Renewed:
        """Encrypt with the first key what is stored of a job."""
        closed = 0

        def turn(text: str) -> str:
            nonlocal closed
            turned, unread = self._cipher.renewed(text)
            closed += unread
            return turned

        return Renewed(self.inner.rewrite(job_id, turn), closed)

    def renew_sheet(self, name: str) -> Renewed:
        """Encrypt a sheet with the first key, unless it was written meanwhile."""
        stored = self.inner.sheets([name]).get(name)
        if stored is None:
            return Renewed(False, 0)
        turned, closed = self._cipher.renewed(stored)
        return Renewed(turned != stored and self.inner.write_sheets((name, stored), {name: turned}), closed)

    def renew_schedule(self, schedule: Schedule) -> Renewed:
        """Encrypt with the first key what a schedule says, given as the storage has it, unless it was changed since."""
        turned, closed = self._cipher.renewed(schedule.about)
        return Renewed(
            turned != schedule.about and self.inner.put_schedule(schedule._replace(about=turned)) != 0, closed
        )

    # Parts

    def _shut_job(self, job: NewJob) -> NewJob:
        return job._replace(payload=self._cipher.shut(job.payload) or "", options=self._shut_options(job.options))

    def _shut_options(self, options: str | None) -> str | None:
        """Encrypt what comes after a job, unless it is what no key here has opened."""
        return turned_options(options, lambda text: text if is_shut(text) else self._cipher.shut(text))

    def open_options(self, options: str | None) -> str | None:
        """Decrypt what comes after a job."""
        return turned_options(options, self._cipher.open)

    def _shut_progress(self, progress: Progress | None) -> Progress | None:
        return None if progress is None else progress._replace(message=self._cipher.shut_words(progress.message))

    def _shut_end(self, one: Settlement) -> Settlement:
        return one._replace(
            error=self._cipher.shut_error(one.error),
            result=self._cipher.shut(one.result),
            progress=self._shut_progress(one.progress),
            logs=tuple(self._cipher.shut_line(line) for line in one.logs),
            follows=tuple(self._shut_job(job) for job in one.follows),
            if_cancelled=one.if_cancelled and tuple(self._shut_job(job) for job in one.if_cancelled),
        )

    def _open_step(self, step: Step) -> Step:
        claims, outdated = ([self._open_claim(claim) for claim in some] for some in (step.claims, step.outdated))
        return step._replace(claims=claims, outdated=tuple(outdated))

    def _open_claim(self, claim: Claim) -> Claim:
        payload = self._cipher.open(claim.payload) or ""
        options = self.open_options(claim.options)
        return claim._replace(payload=payload, options=options, error=self._cipher.open_error(claim.error))

    def _open_record(self, record: JobRecord) -> JobRecord:
        return whole(lambda: self._opened(record), record.id, record.queue, record.type, record.status)

    def _opened(self, record: JobRecord) -> JobRecord:
        progress = record.progress
        return replace(
            record,
            payload=self._cipher.open_value(record.payload),
            result=self._cipher.open_value(record.result),
            error=self._open_error(record.error),
            progress=progress and progress._replace(message=self._cipher.open_words(progress.message)),
            history=tuple(replace(run, error=self._open_error(run.error)) for run in record.history),
        )

    def _open_error(self, error: JobError | None) -> JobError | None:
        if error is None:
            return None
        opened = self._cipher.open_words
        return error._replace(message=opened(error.message), traceback=opened(error.traceback))


def is_shut(text: str | None) -> bool:
    """Whether a text is encrypted."""
    return text is not None and text.startswith(f'{{"{MARK}"')


def turned_options(options: str | None, turn: Callable[[str | None], str | None]) -> str | None:
    """Encrypt or decrypt what comes after a job, which is among its options: the rest of its chain, and what else."""
    if options is None or not any(f'"{name}"' in options for name in AFTER):
        return options
    try:
        said = json.loads(options)
    except ValueError:  # whoever reads it says what is wrong
        return options
    turned = {name: turn(said[name]) for name in AFTER if name in said}
    return json.dumps({**said, **turned}, ensure_ascii=False, separators=(",", ":"))


class Opening:
    """A step on its way whose claims are decrypted when they come."""

    def __init__(self, storage: Sealed, pending: PendingStep) -> None:
        self._storage = storage
        self._pending = pending

    def answer(self) -> Step:
        """Wait for the answer."""
        return self._storage._open_step(self._pending.answer())
