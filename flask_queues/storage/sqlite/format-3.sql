-- From format 2 to 3: what jobs keep for their next run.
CREATE TABLE kept (job INTEGER PRIMARY KEY, text TEXT NOT NULL);
