-- From format 3 to 4: how often the options of a job were changed.
ALTER TABLE jobs ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
-- From format 3 to 4: gathered jobs. In `jobs`, the group with which one waits for its time, NULL once it does so no more.
ALTER TABLE jobs ADD COLUMN gather TEXT;
CREATE INDEX jobs_gather ON jobs (queue, gather, stamp) WHERE status = 2 AND gather IS NOT NULL;
