"""Measures Flask-Queues on Redis beside Huey, RQ, Celery, Dramatiq and taskiq, all on one server that it starts.

Each of them with the settings that its own documents recommend, one worker process started by its own command,
and no result kept where that can be chosen. The modules `with_*` are their applications.
"""
