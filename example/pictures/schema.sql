create table if not exists users (
    id integer primary key,
    name text not null unique,
    password_hash text not null,
    is_admin integer not null default 0
);

create table if not exists imports (
    id integer primary key,
    owner_id integer not null references users,
    folder text not null,
    looks integer not null,                      -- how many looks each picture gets
    state text not null default 'waiting',       -- waiting, read, failed
    problem text,
    created text not null default current_timestamp
);

create table if not exists pictures (
    id integer primary key,
    owner_id integer not null references users,
    import_id integer references imports,
    source text,                                 -- its path within the imported folder
    title text not null,
    file text not null unique,                   -- its name among the originals
    bytes integer not null,
    width integer,
    height integer,
    state text not null default 'waiting',       -- waiting, ready, broken
    problem text,
    job_id text,                                 -- the job that makes its thumbnails
    created text not null default current_timestamp,
    unique (import_id, source)
);

create table if not exists looks (
    picture_id integer not null references pictures on delete cascade,
    name text not null,
    state text not null default 'waiting',       -- waiting, ready, failed
    primary key (picture_id, name)
);

create table if not exists mails (
    id integer primary key,
    sender_id integer not null references users,
    picture_id integer not null references pictures on delete cascade,
    recipient text not null,
    message text not null,
    state text not null default 'waiting',       -- waiting, sent
    job_id text,
    created text not null default current_timestamp,
    sent text
);

create table if not exists mail_attempts (
    id integer primary key autoincrement,
    mail_id integer not null references mails on delete cascade
);

create table if not exists import_batches (
    import_id integer primary key references imports,
    batch_id text not null,                      -- of the jobs that work on its pictures
    note text                                    -- what its callbacks have said of it
);

create table if not exists digests (
    job_id text primary key,                     -- the run that wrote it: one that is repeated writes the same row
    owner_id integer not null references users,
    text text not null,
    created text not null default current_timestamp
);

create table if not exists notices (
    id integer primary key,
    text text not null,                          -- what an admin should know
    created text not null default current_timestamp
);

create table if not exists reports (
    due text primary key,                        -- when it was due, in UTC: the day before that is what it tells
    text text not null
);
