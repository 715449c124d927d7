-- From format 3 to 4: how often the options of a job were changed.
ALTER TABLE jobs ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
