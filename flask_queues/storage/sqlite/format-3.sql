-- From format 2 to 3: what stops a queue, or one job type of it (an empty type means all).
CREATE TABLE stops (
    queue TEXT, type TEXT,
    until INTEGER,                  -- NULL where somebody has to end it
    reason TEXT NOT NULL, author TEXT NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (queue, type)
) WITHOUT ROWID;
-- From format 2 to 3: what jobs keep for their next run.
CREATE TABLE kept (job INTEGER PRIMARY KEY, text TEXT NOT NULL);
-- From format 2 to 3: unique jobs. In `jobs`, JSON of what makes one unique; here, who holds each key.
ALTER TABLE jobs ADD COLUMN uniq TEXT;
CREATE TABLE uniques (
    queue TEXT, key TEXT, job TEXT NOT NULL,
    expires INTEGER,                -- NULL where the job's own way ends it
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;
-- From format 2 to 3: limits. In `jobs`, JSON of the limits of one; here, what is kept of each limit.
ALTER TABLE jobs ADD COLUMN limits TEXT;
CREATE TABLE gates (
    queue TEXT, name TEXT,
    about TEXT NOT NULL,            -- JSON of the limit
    used INTEGER NOT NULL,          -- claims in force
    next INTEGER NOT NULL,          -- microseconds
    opens INTEGER,                  -- when those that wait are to be let through; NULL where a job's end does that
    PRIMARY KEY (queue, name)
) WITHOUT ROWID;
CREATE INDEX gates_opens ON gates (opens) WHERE opens IS NOT NULL;
CREATE INDEX jobs_at_gates ON jobs (queue, held, priority DESC, due) WHERE held IS NOT NULL;
-- From format 2 to 3: texts in which the keeper adds up what was done.
CREATE TABLE sheets (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
-- From format 2 to 3: batches. In `jobs`, the one to which a job belongs; here, how many of each stand where.
ALTER TABLE jobs ADD COLUMN batch TEXT;
CREATE TABLE tallies (
    batch TEXT, status INTEGER,
    n INTEGER NOT NULL,
    PRIMARY KEY (batch, status)
) WITHOUT ROWID;
