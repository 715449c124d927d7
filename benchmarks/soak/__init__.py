"""Runs workers for a long while and breaks what can break: `python -m benchmarks.soak --help`.

Four workers, three schedules, chains, batches and gathered jobs; processes are killed at random, workers and the Redis
server restarted. In the end nothing that was acknowledged may be missing, and memory, descriptors and the storage have
to be as large as they were. Takes half an hour, so it is no test.
"""
