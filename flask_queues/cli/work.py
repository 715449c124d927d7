"""`flask queues work`: the worker."""

from __future__ import annotations

import logging
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from ..config import CHECKS, check_queue_names
from ..doctor import at_start
from ..errors import ConfigError, DuplicateSchedule
from ..manager import Manager, current_queues
from ..storage.values import Finding
from ..worker import Plan, Report, Share, make_worker, version_here
from .doctor import MEANS

logger = logging.getLogger("flask_queues")


@click.command()
@click.option("--queue", "queues", multiple=True, help="Queues to serve, strictly in this order: a,b. Default: all.")
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes for jobs.")
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Jobs that each process runs at a time; for jobs that wait most of their time.",
)
@click.option("--timeout", type=float, help="Seconds a job may run where its type does not say.")
@click.option("--memory", type=float, help="Megabytes above which a child is replaced after its job.")
@click.option("--sleep", type=float, help="Seconds after which an idle child looks for work by itself.")
@click.option("--tries", type=int, help="How often a job is tried where its type does not say.")
@click.option("--max-jobs", type=int, help="Jobs after which a child is replaced.")
@click.option("--max-time", type=click.FloatRange(min=0), help="Seconds after which the worker ends.")
@click.option("--jobs", type=click.IntRange(min=1), help="Run so many jobs at most, in one process, and end.")
@click.option("--once", is_flag=True, help="Run the next job, if there is one, and end.")
@click.option("--stop-when-empty", is_flag=True, help="End when no job waits.")
@click.option("--reload", is_flag=True, help="Start again whenever the code changes; for development.")
@click.option("--json", "json_lines", is_flag=True, help="Write a line of JSON a job.")
@with_appcontext
def work(queues: tuple[str, ...], reload: bool, json_lines: bool, **given: Any) -> None:
    """Run jobs until told to stop.

    SIGTERM or Ctrl-C lets jobs in hand finish within QUEUES_GRACE seconds and then gives them back;
    a second one gives them back at once.
    """
    if reload:
        work_and_reload()
        return
    manager = current_queues._get_current_object()  # type: ignore[attr-defined]
    try:
        manager.config = replace(manager.config, **overrides(given))
        plan = plan_of(manager, queues, given)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    report = Report(json_lines=json_lines, colour=sys.stdout is not None and sys.stdout.isatty())
    sys.exit(start(manager, plan, report))


def overrides(given: dict[str, Any]) -> dict[str, Any]:
    """Check the options that stand for configuration keys."""
    names = ("timeout", "memory", "sleep", "tries", "max_jobs")
    return {name: CHECKS[name](f"--{name.replace('_', '-')}", given[name]) for name in names if given[name] is not None}


def plan_of(manager: Manager, queues: tuple[str, ...], given: dict[str, Any]) -> Plan:
    """Make the plan that the options describe."""
    most = 1 if given["once"] else given["jobs"]
    if given["jobs"] is not None and given["processes"] > 1:
        raise ConfigError("--jobs counts the jobs of one process; leave out --processes.")
    share = Share(
        queues=check_queue_names("--queue", ",".join(queues)) if queues else (),
        max_jobs=most or manager.config.max_jobs,
        threads=1 if given["once"] else given["threads"],
        stop_when_empty=given["once"] or given["stop_when_empty"],
        once=most is not None,
    )
    return Plan(processes=1 if most else given["processes"], share=share, max_time=given["max_time"])


def start(manager: Manager, plan: Plan, report: Report) -> int:
    """Say what this worker is, make sure that it can work, and work."""
    if not manager.storage.shared:
        raise ConfigError(
            f"{manager.storage.describe()} is private to one process: a worker would wait for ever. "
            "Use the default storage, or Redis."
        )
    manager.counts()
    if not manager.jobs:
        report.says(
            "warning",
            "No job type is registered; jobs of any type will stay pending. Import the modules that define them where "
            "the application is made.",
        )
    queues = ", ".join(manager.queue_order(plan.share.queues)) + ("" if plan.share.queues else " and any other")
    processes = f"{plan.processes} process{'es' if plan.processes > 1 else ''}"
    if plan.share.threads > 1:
        processes += f" of {plan.share.threads} threads"
    worker = make_worker(manager, plan, report, version_here())
    start_schedules(manager, worker.name, plan)
    findings = findings_at_start(manager)
    report.says("started", f"Working on {queues} with {processes}. Jobs are in {manager.storage.describe()}.")
    for finding in findings:
        report.says("finding", sentence(finding), severity=finding.severity.name.lower(), code=finding.code)
    code = worker.run()
    report.says("stopped", "Stopped.")
    return code


def start_schedules(manager: Manager, worker: str, plan: Plan) -> None:
    """Store the schedules of the code; a worker that ends when no job waits fires and rescues what it can before."""
    taken = manager.scheduler.publish(worker)
    if taken:
        raise DuplicateSchedule(
            f"The code defines a schedule called {taken[0]}, and there is another one of that name, made at run time "
            "or by another application. Give one of them another name."
        )
    if plan.share.stop_when_empty:
        manager.rescuer.rescue()
        manager.scheduler.ticker().drain()


def findings_at_start(manager: Manager) -> list[Finding]:
    """What this worker should say of the place; an examination that fails keeps nobody from working."""
    try:
        return at_start(manager)
    except Exception:
        logger.warning("The examination at the start failed; flask queues doctor tells more.", exc_info=True)
        return []


def sentence(finding: Finding) -> str:
    """A finding in one line."""
    means = f"This {MEANS[finding.severity]}: " if finding.severity in MEANS else ""
    return f"{means}{finding.problem} {finding.fix} More: flask queues doctor"


def work_and_reload() -> None:
    """Run the same command without `--reload`, again whenever a Python file changes."""
    try:
        from watchfiles import PythonFilter, run_process
    except ImportError as error:
        raise ConfigError("--reload needs watchfiles: pip install watchfiles.") from error
    command = shlex.join(argument for argument in sys.orig_argv if argument != "--reload")
    run_process(Path.cwd(), target=command, target_type="command", watch_filter=PythonFilter(), sigint_timeout=60)
