"""The answer as a probe's log shows it, and as JSON."""

from __future__ import annotations

from typing import Any

from ..shapes import alert_fields, iso
from .check import Health, Scene


def fields(health: Health) -> dict[str, Any]:
    """The answer for programs; what the storage did not tell is null."""
    scene = health.scene
    longest = scene.longest_wait if scene else None
    return {
        "healthy": health.good,
        "problems": [one._asdict() for one in health.problems],
        "workers": len(scene.workers) if scene else None,
        "processes": scene.processes if scene else None,
        "busy": scene.busy if scene else None,
        "pending": scene.counts.statuses["pending"] if scene else None,
        "longest_wait": round(longest[0], 3) if longest else None,
        "longest_wait_in": longest[1] if longest else None,
        "last_work": iso(scene.worked) if scene else None,
        "alerts": [alert_fields(one) for one in scene.alerts] if scene else [],
    }


def lines(health: Health) -> list[str]:
    """The answer for a person: what is wrong and what to do, or how well all is."""
    if health.good and health.scene is not None:
        return [well(health.scene), *(f"Alert: {one}" for one in health.scene.alerts)]
    return [f"{one.problem} {one.fix}".rstrip() for one in health.problems]


def well(scene: Scene) -> str:
    """One line of praise."""
    workers = f"{len(scene.workers)} worker{'' if len(scene.workers) == 1 else 's'}"
    longest = scene.longest_wait
    waits = f"{scene.counts.statuses['pending']:,} pending"
    waits += f", the first for {longest[0]:.0f} s" if longest else ""
    return f"Healthy: {workers}, {scene.busy} of {scene.processes} processes busy, {waits}."
