"""Measures Flask-Queues side by side with Huey on SQLite: `python -m benchmarks --help`.

Each comparison runs in rounds that alternate between the contenders, so that a machine that becomes slower
becomes slower for all of them; what is compared is the ratio within a round.
"""
