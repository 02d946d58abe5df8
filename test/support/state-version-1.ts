/** The state database as the release before agents' settings made it: for migrating a real one. */
export const STATE_VERSION_1 = `CREATE TABLE tasks (
     id TEXT PRIMARY KEY,
     project TEXT NOT NULL,
     name TEXT NOT NULL,
     mode TEXT NOT NULL,
     agent TEXT NOT NULL,
     restricted INTEGER NOT NULL,
     state TEXT NOT NULL,
     container TEXT NOT NULL,
     base_branch TEXT NOT NULL,
     exit_code INTEGER,
     failure TEXT,
     created_at TEXT NOT NULL,
     started_at TEXT,
     finished_at TEXT
   ) STRICT;
   CREATE INDEX tasks_by_project ON tasks (project, created_at);
   CREATE TABLE runs (
     id INTEGER PRIMARY KEY,
     task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
     prompt TEXT NOT NULL,
     created_at TEXT NOT NULL
   ) STRICT;
   CREATE TABLE events (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     at TEXT NOT NULL,
     project TEXT,
     task TEXT,
     actor TEXT NOT NULL,
     kind TEXT NOT NULL,
     data TEXT NOT NULL
   ) STRICT;
   CREATE INDEX events_by_task ON events (task, id);
   CREATE TABLE gate_tokens (
     task TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
     hash BLOB NOT NULL
   ) STRICT;
   CREATE TABLE egress_rules (
     task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
     address TEXT NOT NULL,
     port INTEGER NOT NULL,
     protocol TEXT NOT NULL,
     PRIMARY KEY (task, address, port, protocol)
   ) STRICT;
   CREATE TABLE approvals (
     id TEXT PRIMARY KEY,
     kind TEXT NOT NULL,
     project TEXT NOT NULL,
     subject TEXT NOT NULL,
     summary TEXT NOT NULL,
     state TEXT NOT NULL,
     requested_by TEXT NOT NULL,
     created_at TEXT NOT NULL,
     expires_at TEXT NOT NULL,
     settled_at TEXT,
     settled_by TEXT,
     outcome TEXT
   ) STRICT;
   CREATE UNIQUE INDEX one_open_approval ON approvals (kind, project, subject) WHERE state = 'pending';`;
