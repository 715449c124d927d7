"""For tests: `flask_queues.testing.storage` is the suite that a storage engine has to pass."""
