-- Format 1 of the file. `seq` is the order of pushes; times are milliseconds.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    queue TEXT NOT NULL,
    type TEXT NOT NULL,
    status INTEGER NOT NULL,        -- 0 pending, 1 running, 2 scheduled, 3 completed, 4 failed, 5 cancelled
    stamp INTEGER NOT NULL,         -- since when it is pending, running or final; when it is due, if scheduled
    priority INTEGER NOT NULL,      -- of a hurried one with tiers above, see hurried.py
    due INTEGER NOT NULL,
    created INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    runs INTEGER NOT NULL DEFAULT 0,
    alone INTEGER NOT NULL DEFAULT 0,
    token INTEGER,                  -- from here on: the claim in force, or the last
    worker TEXT,
    lease INTEGER,                  -- by the monotonic clock of the boot that `meta` names
    ahead INTEGER,
    started INTEGER,
    ended INTEGER,                  -- of the last run
    outcome TEXT,                   -- of the last run
    error TEXT,
    cancel TEXT,                    -- why somebody asked to cancel it while it ran
    reason TEXT,
    held TEXT,                      -- the job type that no worker knew
    progress TEXT,
    result TEXT,
    expires INTEGER,
    tags TEXT,
    options TEXT,
    payload TEXT NOT NULL,
    history TEXT                    -- a line of JSON for each run but the last
);
CREATE UNIQUE INDEX jobs_id ON jobs (id);
CREATE INDEX jobs_ready ON jobs (queue, priority DESC, due) WHERE status = 0 AND held IS NULL;
CREATE INDEX jobs_running ON jobs (worker) WHERE status = 1;
CREATE INDEX jobs_held ON jobs (held) WHERE held IS NOT NULL;
CREATE INDEX jobs_due ON jobs (stamp) WHERE status = 2;
CREATE INDEX jobs_due_in_queue ON jobs (queue, stamp) WHERE status = 2;
-- The only one for lists: `counts` tells which lines there are, and each is walked.
CREATE INDEX jobs_line ON jobs (queue, type, status, stamp) WHERE status <> 1;

CREATE TABLE tags (tag TEXT, job INTEGER, PRIMARY KEY (tag, job)) WITHOUT ROWID;

CREATE TABLE logs (
    job INTEGER, n INTEGER, run INTEGER, time INTEGER, level TEXT, message TEXT, context TEXT,
    PRIMARY KEY (job, n)
) WITHOUT ROWID;

CREATE TABLE counts (
    queue TEXT, type TEXT, status INTEGER, n INTEGER NOT NULL,
    PRIMARY KEY (queue, type, status)
) WITHOUT ROWID;

CREATE TABLE workers (name TEXT PRIMARY KEY, heartbeat INTEGER NOT NULL, about TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('token', 0), ('boot', '');

-- What flask-caching keeps here; jobs never pass through it.
CREATE TABLE cache (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires REAL);
CREATE INDEX cache_expires ON cache (expires) WHERE expires IS NOT NULL;
