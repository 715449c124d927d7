"""The terminal's face: `flask queues`."""

from flask.cli import AppGroup

queues_group = AppGroup("queues", help="Background jobs: work, look, repair.")
