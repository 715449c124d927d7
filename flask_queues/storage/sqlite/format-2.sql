-- From format 1 to 2: schedules.
CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    queue TEXT NOT NULL,
    about TEXT NOT NULL,
    revision INTEGER NOT NULL       -- the number of its last change among those of all schedules
) WITHOUT ROWID;

CREATE TABLE occurrences (
    schedule TEXT, n INTEGER, due INTEGER, decided INTEGER, outcome TEXT, job TEXT,
    PRIMARY KEY (schedule, n)
) WITHOUT ROWID;

INSERT INTO meta VALUES ('schedules', 0);
