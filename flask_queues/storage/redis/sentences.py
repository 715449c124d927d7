"""What an error of Redis means and what to do, in a sentence; never with a password."""

from __future__ import annotations

from redis.exceptions import AuthenticationError, BusyLoadingError
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import TimeoutError as TimedOut

from ...errors import ConfigError, QueuesError, StorageFormatError, StorageFull, StorageUnavailable

#: The oldest server on which the scripts run.
OLDEST = (6, 2)

UNCHANGED = "nothing was changed"


#: The codes that redis-py leaves out of the text of an error for which it has a class.
CODES = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "BusyLoadingError": "LOADING",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "AskError": "ASK",
}


#: How a server ends a connection that speaks another language, among others.
CUT_SHORT = ("connection reset", "it closed the connection")


def told(error: Exception) -> str:
    """What the server said, with the code that it begins with."""
    code = CODES.get(type(error).__name__)
    return str(error) if code is None else f"{code} {error}"


def translate(error: Exception, where: str) -> QueuesError:
    """Say what an error of a server or of the way to it means; `where` names the server."""
    if isinstance(error, QueuesError):
        return error
    text = told(error)
    for marks, kind, sentence in SENTENCES:
        if any(mark.lower() in text.lower() for mark in marks):
            return kind(sentence.format(where=where, text=without_script(text)))
    if isinstance(error, AuthenticationError):
        return StorageUnavailable(f"{where} did not let us in: {without_script(text)}.")
    if isinstance(error, TimedOut) or "timed out" in text.lower():
        return StorageUnavailable(
            f"{where} does not answer. What was sent may have been done; pushing again with the same id is safe."
        )
    if is_broken(error) or "cannot be connected" in text:
        reason = reason_of(text)
        tls = ", does it expect TLS (rediss://)" if reason in CUT_SHORT else ""
        return StorageUnavailable(f"{where} cannot be reached: {reason}. Is it running, is the address right{tls}?")
    return StorageUnavailable(f"{where}: {without_script(text)}.")


def too_old(where: str, version: str) -> ConfigError:
    """Say which server is needed."""
    needed = ".".join(map(str, OLDEST))
    return ConfigError(f"{where} is version {version}; the queues need Redis {needed} or newer, or any Valkey.")


def is_broken(error: Exception) -> bool:
    """Whether it is the connection that failed, so that a command may or may not have been carried out."""
    if isinstance(error, (AuthenticationError, BusyLoadingError)):
        return False
    return isinstance(error, (Broken, TimedOut, OSError))


def without_script(text: str) -> str:
    """An error's first line, without the place in the script."""
    line = text.strip().partition("\n")[0]
    return line.partition(" script: ")[0].rstrip(". ")


def reason_of(text: str) -> str:
    """What the system said of a connection, without the address that is told already."""
    line = text.strip().partition("\n")[0].rstrip(".")
    for mark in ("Connection refused", "Connection reset", "Name or service not known", "No route to host", "closed"):
        if mark.lower() in line.lower():
            return {"closed": "it closed the connection"}.get(mark, mark.lower())
    return line


#: What stands in the server's answer, and what it means. The first that fits is told.
SENTENCES: tuple[tuple[tuple[str, ...], type[QueuesError], str], ...] = (
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        StorageUnavailable,
        "{where} shows a certificate that is not trusted here ({text}). Name its authority in the URL, as "
        "?ssl_ca_certs=/path/to/ca.pem, or the host by the name that stands in the certificate.",
    ),
    (
        ("no TLS: ",),
        StorageUnavailable,
        "{where} does not answer over TLS. If it has none on this port, QUEUES_CACHE_REDIS_URL begins with redis:// "
        "instead of rediss://; else look whether it is running there.",
    ),
    (
        ("DENIED", "protected mode"),
        ConfigError,
        "{where} is in protected mode: it takes no connections from other hosts. Set a password or an address to "
        "bind to on the server.",
    ),
    (
        ("WRONGPASS", "invalid password", "invalid username-password"),
        ConfigError,
        "{where} refuses the password. Correct QUEUES_CACHE_REDIS_PASSWORD, or the one in QUEUES_CACHE_REDIS_URL.",
    ),
    (
        ("NOAUTH", "Authentication required", "unauthenticated"),
        ConfigError,
        "{where} asks for a password. Set QUEUES_CACHE_REDIS_PASSWORD, or put it into QUEUES_CACHE_REDIS_URL.",
    ),
    (
        ("without any password configured", "no password is set"),
        ConfigError,
        "{where} has no password, but one is configured. Remove it from QUEUES_CACHE_REDIS_PASSWORD or "
        "QUEUES_CACHE_REDIS_URL, or set one on the server.",
    ),
    (
        ("DB index is out of range", "invalid DB index", "SELECT is not allowed in cluster mode"),
        ConfigError,
        "{where} has no database of this number. Correct QUEUES_CACHE_REDIS_DB, or the number at the end of "
        "QUEUES_CACHE_REDIS_URL, which wins; a cluster has none but 0.",
    ),
    (
        ("NOPERM", "no permissions", "executing the script can't"),
        ConfigError,
        "{where}: this user may not do what the queues need ({text}). Give it the commands and the keys in its ACL.",
    ),
    (
        ("non deterministic commands", "unknown command 'EVALSHA'"),
        ConfigError,
        "{where} is too old, or a Sentinel: the queues need Redis 6.2 or newer, or any Valkey. For Sentinels, set "
        "QUEUES_CACHE_TYPE to RedisSentinelCache and QUEUES_CACHE_REDIS_SENTINELS to their addresses.",
    ),
    (
        ("unknown command 'SENTINEL'",),
        ConfigError,
        "{where}: QUEUES_CACHE_REDIS_SENTINELS names a Redis, which is no Sentinel. Sentinels listen on port 26379 "
        "where they are not told otherwise.",
    ),
    (
        ("WRONGTYPE",),
        StorageFormatError,
        "{where} holds keys of something else under our names. Set QUEUES_CACHE_KEY_PREFIX to another prefix, or "
        "QUEUES_CACHE_REDIS_DB to another database.",
    ),
    (
        ("OOM ",),
        StorageFull,
        f"{{where}} has no memory left (maxmemory); {UNCHANGED}. Free some, or raise the limit.",
    ),
    (
        ("READONLY",),
        StorageUnavailable,
        f"{{where}} is a read-only replica; {UNCHANGED}. Point QUEUES_CACHE_REDIS_HOST or QUEUES_CACHE_REDIS_URL at "
        "the master, or use RedisSentinelCache, which finds it (of a cluster, RedisClusterCache).",
    ),
    (
        ("NOREPLICAS",),
        StorageUnavailable,
        f"{{where}} has fewer replicas in reach than its min-replicas-to-write; {UNCHANGED}.",
    ),
    (
        ("MISCONF",),
        StorageUnavailable,
        f"{{where}} cannot save to its disk and refuses writes; {UNCHANGED}. Look into its log, and free some space.",
    ),
    (
        ("LOADING", "loading the dataset"),
        StorageUnavailable,
        "{where} is still loading its data. It will be ready by itself.",
    ),
    (
        ("MASTERDOWN",),
        StorageUnavailable,
        f"{{where}} is a replica that has lost its master; {UNCHANGED}.",
    ),
    (
        ("BUSY Redis",),
        StorageUnavailable,
        f"{{where}} is busy with a script of somebody else's; {UNCHANGED}.",
    ),
    (
        ("No Sentinel answers",),
        StorageUnavailable,
        "{where}: {text}. Are they running, is QUEUES_CACHE_REDIS_SENTINELS right?",
    ),
    (
        ("No master found",),
        StorageUnavailable,
        "{where}: no Sentinel names a master. Are the Sentinels running, and is QUEUES_CACHE_REDIS_SENTINEL_MASTER "
        "the name that they know it by?",
    ),
    (
        ("CLUSTERDOWN", "Hash slot not served", "slots are not covered"),
        StorageUnavailable,
        f"{{where}} does not serve all its slots; {UNCHANGED}. A node is missing: redis-cli --cluster check names it.",
    ),
    (
        ("TRYAGAIN", "non local key", "TTL exhausted"),
        StorageUnavailable,
        f"{{where}} has been moving the queue to another node for too long; {UNCHANGED}. It will be ready by itself.",
    ),
    (
        ("cluster support disabled", "Cluster mode is not enabled"),
        ConfigError,
        "{where} is not a cluster. Set QUEUES_CACHE_TYPE to RedisCache.",
    ),
    (
        ("MOVED",),
        ConfigError,
        "{where} belongs to a cluster. Set QUEUES_CACHE_TYPE to RedisClusterCache and QUEUES_CACHE_REDIS_CLUSTER to "
        "its nodes.",
    ),
)
