-- The tables as release 0.1.0 made them, in the SQL that both databases understand.
CREATE TABLE events (
    internal_id VARCHAR(26) NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    ts BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    "user" TEXT NOT NULL,
    data TEXT NOT NULL,
    v TEXT,
    source TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    PRIMARY KEY (internal_id)
);
CREATE INDEX events_by_name ON events (substr(name, 1, 128), internal_id);
CREATE INDEX events_by_id ON events (substr(id, 1, 128), internal_id);
CREATE TABLE jobs (
    run_id VARCHAR(26) NOT NULL,
    job_id TEXT NOT NULL,
    kind VARCHAR(16) NOT NULL,
    step_id TEXT NOT NULL,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    due_at BIGINT NOT NULL,
    scheduled_at BIGINT NOT NULL,
    last_error TEXT,
    PRIMARY KEY (run_id, job_id)
);
CREATE TABLE penstock_model (
    id INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    database_id VARCHAR(26) NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE penstock_offsets (
    cluster VARCHAR(64) NOT NULL,
    topic VARCHAR(255) NOT NULL,
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (cluster, topic, partition)
);
CREATE TABLE run_events (
    event_internal_id TEXT NOT NULL,
    run_id VARCHAR(26) NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (event_internal_id, run_id)
);
CREATE INDEX run_events_by_run ON run_events (run_id);
CREATE TABLE runs (
    run_id VARCHAR(26) NOT NULL,
    function TEXT DEFAULT '' NOT NULL,
    function_version INTEGER DEFAULT '0' NOT NULL,
    status VARCHAR(16) DEFAULT 'Running' NOT NULL,
    received_at BIGINT DEFAULT '0' NOT NULL,
    started_at BIGINT DEFAULT '0' NOT NULL,
    ended_at BIGINT,
    output TEXT,
    max_attempts INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (run_id)
);
CREATE INDEX runs_by_function ON runs (substr(function, 1, 128), run_id);
CREATE INDEX runs_by_status ON runs (status, run_id);
CREATE TABLE steps (
    run_id VARCHAR(26) NOT NULL,
    step_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    op TEXT NOT NULL,
    name TEXT NOT NULL,
    output TEXT NOT NULL,
    failed BOOLEAN NOT NULL,
    attempt INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    PRIMARY KEY (run_id, step_id)
);
