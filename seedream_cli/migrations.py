"""The ledger's schema, version by version; a version is never edited once released."""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x5EED12EA
"""`PRAGMA application_id` of a ledger of ours."""

_FIRST: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run TEXT NOT NULL,
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  charge TEXT NOT NULL CHECK (charge IN ('none', 'maybe', 'charged')),
  provider TEXT NOT NULL,
  profile TEXT NOT NULL,
  origin TEXT NOT NULL,
  sandbox INTEGER NOT NULL,
  model TEXT NOT NULL,
  prompt TEXT NOT NULL,
  request TEXT NOT NULL,
  recipe TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  output TEXT NOT NULL,
  first_n INTEGER NOT NULL,
  expected INTEGER NOT NULL,
  price TEXT,
  cost TEXT,
  task_id TEXT,
  request_id TEXT,
  problem TEXT,
  row TEXT,
  created_at TEXT NOT NULL,
  sent_at TEXT,
  finished_at TEXT
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint);
CREATE INDEX jobs_by_run ON jobs (run);
CREATE UNIQUE INDEX one_job_a_task ON jobs (origin, task_id) WHERE task_id IS NOT NULL;

-- Which steps a job may take (charge-safety: "Steps"); the trigger below is the guard.
CREATE TABLE steps (was TEXT NOT NULL, becomes TEXT NOT NULL, PRIMARY KEY (was, becomes)) STRICT;
INSERT INTO steps VALUES
  ('planned', 'sending'), ('planned', 'closed'), ('planned', 'refused'),
  ('sending', 'running'), ('sending', 'ready'), ('sending', 'refused'), ('sending', 'planned'),
  ('sending', 'unknown'), ('sending', 'failed'),
  ('running', 'ready'), ('running', 'failed'),
  ('ready', 'saved'), ('ready', 'expired'),
  ('unknown', 'running'), ('unknown', 'ready'), ('unknown', 'closed'),
  ('expired', 'ready');
CREATE TRIGGER only_known_steps BEFORE UPDATE OF state ON jobs
WHEN NEW.state <> OLD.state
  AND NOT EXISTS (SELECT 1 FROM steps WHERE was = OLD.state AND becomes = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a job cannot take this step'); END;

-- Each attempt is one possible charge: a job has at most one that was not provably turned away.
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  job TEXT NOT NULL REFERENCES jobs (id),
  started_at TEXT NOT NULL,
  ended_at TEXT,
  ending TEXT CHECK (ending IN ('accepted', 'refused', 'busy', 'unknown'))
) STRICT;
CREATE UNIQUE INDEX one_live_attempt ON attempts (job)
  WHERE ending IS NULL OR ending <> 'busy';

CREATE TABLE answers (
  id INTEGER PRIMARY KEY,
  job TEXT NOT NULL REFERENCES jobs (id),
  purpose TEXT NOT NULL,
  received_at TEXT NOT NULL,
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX answers_by_job ON answers (job, purpose);

CREATE TABLE images (
  job TEXT NOT NULL REFERENCES jobs (id),
  idx INTEGER NOT NULL,
  n INTEGER NOT NULL,
  url TEXT,
  expires_at TEXT,
  path TEXT,
  format TEXT,
  width INTEGER,
  height INTEGER,
  size INTEGER,
  sha256 TEXT,
  saved_at TEXT,
  problem TEXT,
  name TEXT,
  PRIMARY KEY (job, idx)
) STRICT;
CREATE TABLE uploads (
  origin TEXT NOT NULL,
  digest TEXT NOT NULL,
  url TEXT NOT NULL,
  uploaded_at TEXT NOT NULL,
  PRIMARY KEY (origin, digest)
) STRICT;
CREATE TRIGGER urls_stay BEFORE UPDATE OF url ON images
WHEN OLD.url IS NOT NULL AND NEW.url IS NULL
BEGIN SELECT RAISE(ABORT, 'a URL is never deleted'); END;
CREATE TRIGGER jobs_stay BEFORE DELETE ON jobs
BEGIN SELECT RAISE(ABORT, 'a job is never deleted'); END;
CREATE TRIGGER attempts_stay BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'an attempt is never deleted'); END;
CREATE TRIGGER images_stay BEFORE DELETE ON images
BEGIN SELECT RAISE(ABORT, 'an image is never deleted'); END;
CREATE TRIGGER task_ids_stay BEFORE UPDATE OF task_id ON jobs
WHEN OLD.task_id IS NOT NULL AND NEW.task_id IS NOT OLD.task_id
BEGIN SELECT RAISE(ABORT, 'a task id is never changed'); END;
"""

SCHEMA: Final = (_FIRST,)
"""Script k brings a ledger from version k to k + 1."""
