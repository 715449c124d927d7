-- From format 4 to 5: what the last run held of memory at its highest, JSON.
ALTER TABLE jobs ADD COLUMN memory TEXT;
