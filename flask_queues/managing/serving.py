"""What an application's queues do for those who run jobs: the children of a worker, and its keeper."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import Flask

from .. import chains, damaged, orders
from ..alerts import Herald, Lookout, Receiver
from ..breakers import Breakers
from ..chains import ChainPages, Followers
from ..config import Config
from ..errors import PayloadError
from ..metrics import Gatherer
from ..orders import Picture
from ..payload import MAX_RESULT, dump_json
from ..record import FirstDue, LogLine, Progress, WorkerRecord, to_datetime
from ..registry import JobType, Registry
from ..rescuing import Rescuer
from ..storage.values import Claim, Heartbeat, PendingStep, Settlement, Step, Wanted, Watcher
from ..transitions import Terms
from ..wrapping import Wrapper
from .asides import Asides
from .reading import Reading

logger = logging.getLogger("flask_queues")

#: For so long a worker that vanished is shown as lost.
VANISHED = timedelta(hours=1)


class Serving(Reading):
    """Claims and settles, and tends what a keeper tends."""

    def __init__(self, app: Flask, config: Config, jobs: Registry, cache: Any = None) -> None:
        super().__init__(app, config, jobs, cache)
        self._gatherer = Gatherer(lambda: self.storage, self.cause_of)
        #: What holds job types that keep failing.
        self.breakers = Breakers(jobs, lambda: self.storage, lambda job_type: self._queues_of(None, job_type))
        #: Who is told of alerts, beside `QUEUES_ALERT_RECEIVER`.
        self.alert_receivers: list[Receiver] = []
        self._herald = Herald(app, self._all_receivers)
        self._lookout = Lookout(lambda: self.storage, lambda: self.config, self._herald)
        #: What follows jobs that were pushed before.
        self.followers = Followers(lambda: self.storage, self.teller)
        #: Where the rest of long chains is.
        self.chain_pages = ChainPages(lambda: self.storage)
        self._asides = Asides(lambda: self.storage)
        #: Settles what dead and vanished processes held.
        self.rescuer = Rescuer(
            lambda: self.storage,
            self.teller,
            self.breakers,
            self.terms,
            self.gathering_key,
            self.read_out,
            lambda: self.lease,
        )
        #: What every run of a job happens in, the outermost first.
        self.wrappers: list[Wrapper] = []

    # Claims and what becomes of them

    def read_out(self, settled: Sequence[Settlement]) -> list[Settlement]:
        """Read what follows in chains where it is on a page that was not read yet; to be done before a step."""
        return [chains.read_out(one, self.chain_pages.read) for one in settled]

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle what a child did and claim its next jobs; the settlements were read out."""
        return self.storage.step(worker, settled, wanted)

    def settle(self, worker: str, settled: Sequence[Settlement]) -> list[Settlement]:
        """Settle what was done, whatever is let follow it meanwhile; returns what counts, as it was settled."""
        done: list[Settlement] = []
        while settled := self.read_out(settled):
            step = self.step(worker, settled)
            behind = {claim.id for claim in step.outdated}.union(step.lost)
            done += [one for one in settled if one.id not in behind]
            settled = chains.anew(settled, step.outdated)
        return done

    def begin_step(self, worker: str, settled: Sequence[Settlement], wanted: Wanted) -> PendingStep | None:
        """Send a step whose answer is fetched later; None where the storage is too near for that to gain anything."""
        return self.storage.begin_step(worker, settled, wanted)

    def note(self, claim: Claim, progress: Progress | None, logs: Sequence[LogLine]) -> bool:
        """Keep what a running job says; False where the claim is no longer in force."""
        kept = self.storage.note(claim.id, claim.token, progress, logs)
        if kept and progress is not None:
            self.teller.progressed(claim, progress)
        return kept

    def keep(self, claim: Claim, text: str) -> bool:
        """Keep a text with a running job for its next run; False where the claim is no longer in force."""
        return self.storage.keep(claim.id, claim.token, text)

    def kept(self, claim: Claim) -> str | None:
        """What the job has kept last; None on its first run, which can have kept nothing before."""
        return self.storage.kept(claim.id)

    def terms(self, claim: Claim, *, jitter: bool = True) -> Terms:
        """On which terms a claimed job runs: the push's word, then the type's, then the configuration's."""
        job_type = self.jobs.get(claim.type)
        given, damage = damaged.options_of(claim)
        ours = self.options_of(claim.type)
        return Terms(
            tries=given.get("tries") or ours.tries or self.config.tries,
            timeout=given.get("timeout") or ours.timeout or self.config.timeout,
            backoff=lambda attempt: self._backoff(job_type, attempt, given.get("backoff"), jitter=jitter),
            until=FirstDue(*given.get("first_due", ())).until(given.get("retry_for") or ours.retry_for, claim.created),
            occurrence=to_datetime(given["occurrence"]) if "occurrence" in given else None,
            batch=given.get("batch"),
            request_id=given.get("request_id"),
            locale=given.get("locale"),
            profile=bool(given.get("profile")),
            damage=damage,
        )

    def _backoff(self, job_type: JobType | None, attempt: int, pushed: Any, *, jitter: bool) -> float:
        if job_type is None:
            return self.config.backoff
        try:
            return job_type.backoff(attempt, tuple(pushed) if pushed else None, self.config.backoff, jitter=jitter)
        except Exception:
            logger.exception("backoff() of %s failed; waiting %g s", job_type.type, self.config.backoff)
            return self.config.backoff

    def gathering_key(self, claim: Claim) -> str | None:
        """What a claim has in common with those that come in one run with it; None where it comes alone."""
        job_type = self.jobs.get(claim.type)
        if job_type is None or job_type.gathering is None:
            return None
        try:
            key = f"{claim.queue} {claim.type} {job_type.gathering.key_of(json.loads(claim.payload))}"
        except Exception:
            logger.exception("key() of %s failed; job %s comes alone", claim.type, claim.id)
            return f"{claim.id} alone"
        held_by = self.breakers.key(claim)
        return key if not held_by else f"{key}\n{held_by}"

    def dump_result(self, claim: Claim, result: Any) -> str | None:
        """Write a result as JSON text; raises `PayloadError` for one that cannot be kept."""
        if result is None:
            return None
        text = dump_json(claim.type, result)
        if (size := len(text.encode())) > MAX_RESULT:
            raise PayloadError(
                f"{claim.type}: the result has {size:,} bytes; {MAX_RESULT:,} are allowed. Store the data "
                "elsewhere and return its id."
            )
        return text

    def pending(self, queues: Sequence[str] = ()) -> bool:
        """Whether a claim from these queues, or from any, may find a job now."""
        return self.storage.pending(self.queue_order(queues), self.jobs.served)

    # The keeper's round

    def heartbeat(self, worker: WorkerRecord) -> Heartbeat:
        """Give a sign of life and extend the claims of the worker's children."""
        return self.storage.heartbeat(worker, self.lease)

    def forget_worker(self, name: str) -> None:
        """Take a worker that stops off the list."""
        self.storage.forget_worker(name)
        orders.forget(self.storage, name)

    def forget_vanished(self) -> None:
        """Take workers off the list that were killed so long ago that nobody asks for them any more."""
        until = self.now() - VANISHED
        for worker in self.workers():
            if worker.heartbeat < until:
                self.forget_worker(worker.name)

    def next_due(self) -> int | None:
        """Milliseconds until the next scheduled job is due; None where none waits."""
        return self.storage.next_due()

    def release_held(self) -> int:
        """Let jobs be claimed that were held for a type which is known here."""
        return self.storage.release_held(self.jobs.served)

    def retain(self) -> int:
        """Delete one slice of the jobs that were kept long enough; returns how many."""
        return self.janitor.work()

    def retain_aside(self) -> int:
        """The same; what waits for the application to see it is deleted by a thread, and not counted."""
        return self.janitor.work_aside()

    def tend_chains(self) -> None:
        """Delete what long chains have left behind, if it is time to look."""
        self.chain_pages.tend_if_due()

    def tend_asides(self) -> None:
        """Delete what was kept aside of damaged sheets beyond what is kept, if it is time to look."""
        self._asides.tend_if_due()

    def gather(self) -> None:
        """Count what has ended, if that is due; before it is deleted."""
        self._gatherer.work_if_due()

    def look_out(self) -> None:
        """Look at the thresholds of `QUEUES_ALERTS`, if that is due, and tell of what has changed."""
        self._lookout.work_if_due()

    def finish_telling(self, seconds: float) -> None:
        """Wait so long for those who are being told of alerts, or see jobs before they are deleted."""
        self._herald.finish(seconds)
        self.janitor.finish(seconds)

    def _all_receivers(self) -> list[Receiver | str]:
        configured = self.config.alert_receiver
        return [*([configured] if configured is not None else []), *self.alert_receivers]

    def keep_picture(self, job_id: str, picture: Picture) -> None:
        """Keep the stacks that somebody has asked for."""
        orders.keep_picture(self.storage, job_id, picture)

    def maintain(self) -> None:
        """Let the storage do its housekeeping."""
        self.storage.maintain()

    def watcher(self) -> Watcher:
        """Return what tells the keeper about pushes."""
        return self.storage.watcher()
