"""`flask queues doctor`: what would lose, double or delay jobs."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
from collections.abc import Sequence

import click
from flask.cli import with_appcontext

from ..doctor import UNUSABLE, examine
from ..errors import QueuesError
from ..manager import Manager
from ..storage.values import Finding, Severity
from .jobs import this_manager
from .text import dump, printable

CODES = {Severity.NOTE: 0, Severity.DELAYS: 1, Severity.DOUBLES: 2, Severity.LOSES: 2}
UNKNOWN = 3
COLOURS = {Severity.NOTE: None, Severity.DELAYS: "yellow", Severity.DOUBLES: "magenta", Severity.LOSES: "red"}
MEANS = {
    Severity.LOSES: "may lose jobs",
    Severity.DOUBLES: "may run jobs twice",
    Severity.DELAYS: "may delay jobs",
}
INDENT = 9
WIDEST = 100


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def doctor(as_json: bool) -> None:
    """Name everything here that would lose, double or delay jobs, worst first, each with its fix.

    \b
    Exit codes, as monitoring plugins have them:
      0  nothing but notes
      1  jobs may be delayed
      2  jobs may be lost, or run twice
      3  the storage cannot be used, so nobody knows
    """
    manager = this_manager()
    found = examine(manager)
    if as_json:
        click.echo(dump([fields(finding) for finding in found]))
    else:
        print_place(manager)
        print_findings(found)
    sys.exit(exit_code(found))


def exit_code(found: Sequence[Finding]) -> int:
    """The code of the worst."""
    if any(finding.code == UNUSABLE for finding in found):
        return UNKNOWN
    return max((CODES[finding.severity] for finding in found), default=0)


def fields(finding: Finding) -> dict[str, str]:
    """A finding for programs."""
    return {
        "severity": finding.severity.name.lower(),
        "code": finding.code,
        "problem": finding.problem,
        "fix": finding.fix,
    }


def print_place(manager: Manager) -> None:
    """Print where the jobs are, if there is such a place."""
    with contextlib.suppress(QueuesError):
        click.echo(click.style(manager.storage.describe(), dim=True) + "\n")


def print_findings(found: Sequence[Finding]) -> None:
    """Print each as a paragraph, and the sum."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    for finding in found:
        word = click.style(f"{finding.severity.name.lower():{INDENT}}", fg=COLOURS[finding.severity], bold=True)
        click.echo(word + click.style(finding.code, dim=True))
        click.echo(paragraph(finding.problem, width))
        if finding.fix:
            click.echo(paragraph(finding.fix, width, mark="Fix: "))
        click.echo()
    click.echo(summary(found))


def paragraph(text: str, width: int, mark: str = "") -> str:
    """A text between the margins; what can be typed or clicked is never broken."""
    return textwrap.fill(
        mark + " ".join(printable(text).split()),
        width,
        initial_indent=" " * INDENT,
        subsequent_indent=" " * (INDENT + len(mark)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def summary(found: Sequence[Finding]) -> str:
    """One line for all of them."""
    numbers = {severity: sum(1 for finding in found if finding.severity is severity) for severity in MEANS}
    said = [f"{n} {MEANS[severity]}" for severity, n in numbers.items() if n]
    return f"{', '.join(said)}." if said else "Nothing here would lose, double or delay jobs."
