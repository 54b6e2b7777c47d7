/**
 * The tables, as a list of steps: the data format's version (`user_version`) is how many have been taken. A step that
 * was ever released is never changed; a change is a new step at the end.
 */

const TABLES = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One row per entry of the log. idx has no holes; envelope is never changed. received_ms is the wall clock,
-- mono_ms the monotonic clock of boot number boot, clock_synced what the wall clock was worth then.
CREATE TABLE entries (
  idx INTEGER PRIMARY KEY,
  device INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  mono_ms INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  clock_synced INTEGER NOT NULL,
  envelope BLOB NOT NULL
) STRICT;
-- Answers "is this counter in the log?" and lists one device's entries in the order of its counter.
CREATE UNIQUE INDEX entries_counter ON entries (device, epoch, seq);
CREATE INDEX entries_received ON entries (received_ms);

-- Full tiles only (C2SP tlog-tiles): key = level * 2^40 + n. A partial tile is the hashes of what came after
-- the last full one, so it is read from the rows it consists of. root is the hash of the whole tile.
CREATE TABLE tiles (key INTEGER PRIMARY KEY, hashes BLOB NOT NULL, root BLOB NOT NULL) STRICT;

CREATE TABLE checkpoints (
  size INTEGER PRIMARY KEY,
  root BLOB NOT NULL,
  note TEXT NOT NULL,
  made_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
  id INTEGER PRIMARY KEY,
  did TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  custody TEXT NOT NULL,
  sub TEXT NOT NULL,
  owner TEXT,
  capacity_w INTEGER,
  energy_source TEXT,
  label TEXT,
  status TEXT NOT NULL,
  replaced_by TEXT,
  secret_hash BLOB,
  enrolled_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
) STRICT;

-- The highest counter of each device, the ranges below it that are still missing (JSON), and the last entry.
CREATE TABLE counters (
  device INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  gaps TEXT NOT NULL,
  entries INTEGER NOT NULL,
  last_idx INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;

-- Refused envelopes. The same bytes from the same device again only raise times.
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  did TEXT NOT NULL,
  topic TEXT NOT NULL,
  code TEXT NOT NULL,
  detail TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  bytes BLOB NOT NULL,
  epoch INTEGER,
  seq INTEGER,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  times INTEGER NOT NULL DEFAULT 1,
  UNIQUE (did, sha256)
) STRICT;

-- One row per transaction that was ever signed, written before it is sent. raw is what went out; hashes (JSON)
-- are all hashes that this nonce had, oldest first (a replacement has the same nonce and higher fees).
CREATE TABLE transactions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  chain_id INTEGER NOT NULL,
  contract TEXT NOT NULL,
  nonce INTEGER NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  raw TEXT NOT NULL,
  hashes TEXT NOT NULL,
  fee TEXT NOT NULL,
  status TEXT NOT NULL,
  block INTEGER,
  gas_used INTEGER,
  made_ms INTEGER NOT NULL,
  sent_ms INTEGER,
  mined_ms INTEGER
) STRICT;
CREATE INDEX transactions_status ON transactions (status);
CREATE INDEX transactions_size ON transactions (size);
`;

const RECEIPTS = `
-- The log's signature in all COSE receipts (RFC 9942) under this checkpoint; none where it is older than they are.
ALTER TABLE checkpoints ADD COLUMN receipt BLOB;
-- The head that this transaction anchors, signed for the contract (EIP-712), in hex.
ALTER TABLE transactions ADD COLUMN signature TEXT;
`;

/** Anchors of the log before this one that were on their way when it ended; NULL where the log is this one. */
const ORIGIN_OF_TRANSACTIONS = 'ALTER TABLE transactions ADD COLUMN origin TEXT;';

const RETENTION = `
-- Ranges of counters of a device that an entry of the gateway's own (idx) speaks of: declared lost, or with their
-- payloads thinned. A pruned entry keeps its row, its counter and its leaf hash (in its tile); its envelope is x''.
CREATE TABLE gaps (
  device INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  reason TEXT NOT NULL,
  idx INTEGER NOT NULL,
  PRIMARY KEY (device, epoch, first, idx)
) STRICT, WITHOUT ROWID;
`;

const WITNESSES = `
-- What witnesses say of our checkpoints: one signature line each, by the verifier key that it was checked with.
CREATE TABLE cosignatures (
  size INTEGER NOT NULL,
  witness TEXT NOT NULL,
  line TEXT NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (size, witness)
) STRICT, WITHOUT ROWID;

-- What we, as a witness, cosigned last of each log. note is the checkpoint with its log's own signatures, cosignature
-- our line, time its Unix seconds.
CREATE TABLE witnessed (
  origin TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  note TEXT NOT NULL,
  cosignature TEXT NOT NULL,
  time INTEGER NOT NULL
) STRICT;

-- Checkpoints that a log signed and that do not go together with what we hold of it. kind split: two roots of one size,
-- which convicts the log; unproven: the proof that came with it does not lead there, which anybody could have sent.
CREATE TABLE evidence (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  origin TEXT NOT NULL,
  kind TEXT NOT NULL,
  held TEXT NOT NULL,
  note TEXT NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  times INTEGER NOT NULL DEFAULT 1,
  UNIQUE (origin, kind, note)
) STRICT;
`;

const CHECKS = `
-- One row per decision about a vehicle (store/checks.ts). idx is its entry in the log, digest all that this holds:
-- SHA-256(salt || content). From session on, what was not known or was forgotten is NULL. nonce is there only where the
-- check used it up: that no two rows have the same is what "used once" means.
CREATE TABLE checks (
  idx INTEGER PRIMARY KEY,
  decided_ms INTEGER NOT NULL,
  gate TEXT,
  zone TEXT,
  purpose TEXT,
  decision TEXT NOT NULL,
  reason TEXT NOT NULL,
  digest BLOB NOT NULL,
  session TEXT,
  nonce BLOB UNIQUE,
  holder TEXT,
  registration TEXT,
  counter INTEGER,
  telemetry TEXT,
  valid_from_ms INTEGER,
  valid_until_ms INTEGER,
  lat REAL,
  lon REAL,
  salt BLOB,
  content BLOB
) STRICT;
CREATE INDEX checks_holder ON checks (holder, counter) WHERE holder IS NOT NULL;
CREATE INDEX checks_registration ON checks (registration) WHERE registration IS NOT NULL;

-- The newest word of a city (its pinned DID): issuers, status lists, policy. Never an older one in its place.
CREATE TABLE city_bundles (
  city TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  bytes BLOB NOT NULL,
  received_ms INTEGER NOT NULL,
  source TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;

const REGISTRY = `
-- The events of the city's Devices contract, as far as they were followed. device is the commitment that the contract
-- knows it by, data (JSON) what the event says.
CREATE TABLE registry_events (
  block INTEGER NOT NULL,
  log_index INTEGER NOT NULL,
  device BLOB NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (block, log_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_events_device ON registry_events (device);

-- The newest blocks that were looked at; the highest is how far the events are here. time: Unix seconds, the chain's.
CREATE TABLE registry_blocks (
  number INTEGER PRIMARY KEY,
  hash BLOB NOT NULL,
  time INTEGER NOT NULL
) STRICT;

-- Entries that were taken of devices that could speak no more, and why: backlog (intake/standing.ts).
CREATE TABLE late_entries (
  idx INTEGER PRIMARY KEY,
  status TEXT NOT NULL,
  by TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  block INTEGER
) STRICT;

-- A device that took over a metering point, and the entry (idx) of the gateway's own that says so.
CREATE TABLE successions (
  idx INTEGER PRIMARY KEY,
  device INTEGER NOT NULL UNIQUE,
  heir INTEGER NOT NULL
) STRICT;
`;

const CONTENTS = `
-- What sealed entries are over, in boxes (contents.ts). key is one of content_keys; digest is set where the entry was
-- pruned, and was its payload. A forgotten one has an empty box, and no digest.
CREATE TABLE contents (idx INTEGER PRIMARY KEY, key INTEGER NOT NULL, box BLOB NOT NULL, digest BLOB) STRICT;
-- about is the device that contents speak about; secret is 32 zeros where it was forgotten.
CREATE TABLE content_keys (id INTEGER PRIMARY KEY, about INTEGER NOT NULL, secret BLOB NOT NULL) STRICT;
CREATE INDEX content_keys_about ON content_keys (about);
`;

const PEOPLE = `
-- Tokens of people that live longer than a local one may, and those that were revoked. The token itself is not kept.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  made_by TEXT NOT NULL,
  revoked_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What operators did. The entry idx holds digest alone: SHA-256(salt || content).
CREATE TABLE audit (
  digest BLOB PRIMARY KEY,
  idx INTEGER NOT NULL,
  salt BLOB NOT NULL,
  content BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_idx ON audit (idx);

-- What an operator expects to be enrolled (wanted, JSON), until a device has shown the code; key is its SHA-256.
CREATE TABLE claims (
  id TEXT PRIMARY KEY,
  key BLOB NOT NULL,
  wanted TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  made_by TEXT NOT NULL,
  status TEXT NOT NULL,
  did TEXT
) STRICT, WITHOUT ROWID;
`;

const CREDITS = `
ALTER TABLE devices ADD COLUMN register_modulus_wh INTEGER;

-- Readings near full hours, of which certificates can be made (wire/boundary.ts): at is the full hour, iat the reading's
-- own time, Unix seconds; idx its entry. point is the URN of the metering point. clock_synced is what the gateway's clock
-- was worth when it came; offset_ms what it was found to be off later in that boot, NULL while that is not known.
CREATE TABLE boundaries (
  point TEXT NOT NULL,
  at INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  device INTEGER NOT NULL,
  iat INTEGER NOT NULL,
  register_wh INTEGER NOT NULL,
  shape TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  clock_synced INTEGER NOT NULL,
  offset_ms INTEGER,
  PRIMARY KEY (point, at, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX boundaries_unsynced ON boundaries (boot) WHERE clock_synced = 0 AND offset_ms IS NULL;

-- What the rules made of them: one row per slot and version. id is the certificate's; point_id the commitment that the
-- contract knows the metering point by; state ready, refused, or settled: ready, and in a block that is too old to be
-- taken back (what is minted is said by credit_events). flags is JSON.
CREATE TABLE certificates (
  point TEXT NOT NULL,
  slot INTEGER NOT NULL,
  version INTEGER NOT NULL,
  id TEXT NOT NULL UNIQUE,
  point_id BLOB NOT NULL,
  device INTEGER NOT NULL,
  wh INTEGER NOT NULL,
  start_idx INTEGER NOT NULL,
  start_iat INTEGER NOT NULL,
  start_wh INTEGER NOT NULL,
  end_idx INTEGER NOT NULL,
  end_iat INTEGER NOT NULL,
  end_wh INTEGER NOT NULL,
  shape TEXT NOT NULL,
  flags TEXT NOT NULL,
  state TEXT NOT NULL,
  code TEXT,
  detail TEXT,
  made_ms INTEGER NOT NULL,
  PRIMARY KEY (point, slot, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_slot ON certificates (slot, id);
CREATE INDEX certificates_chain ON certificates (point_id, slot);
CREATE INDEX certificates_made ON certificates (made_ms);
-- So that what is over for good costs nothing.
CREATE INDEX certificates_ready ON certificates (slot, id) WHERE state = 'ready';
CREATE INDEX certificates_refused ON certificates (slot) WHERE state = 'refused';

-- Energy of gaps, known as a whole only: from one full hour to another, of one device. month is the first second of the
-- KST month that it lies in, NULL where it lies in two.
CREATE TABLE residuals (
  point TEXT NOT NULL,
  from_at INTEGER NOT NULL,
  until_at INTEGER NOT NULL,
  point_id BLOB NOT NULL,
  device INTEGER NOT NULL,
  wh INTEGER NOT NULL,
  month INTEGER,
  start_idx INTEGER NOT NULL,
  start_wh INTEGER NOT NULL,
  end_idx INTEGER NOT NULL,
  end_wh INTEGER NOT NULL,
  reason TEXT NOT NULL,
  state TEXT NOT NULL,
  code TEXT,
  detail TEXT,
  made_ms INTEGER NOT NULL,
  PRIMARY KEY (point, from_at, until_at)
) STRICT, WITHOUT ROWID;

-- The events of the Credits and Market contracts, as far as they were followed: one row for each slot that an event
-- speaks of (part counts them). point is the commitment of the metering point, NULL where there is none; slot its first
-- second (of a withdrawn day, the day's; of a residual, the month's); data (JSON) all that the event says.
CREATE TABLE credit_events (
  block INTEGER NOT NULL,
  log_index INTEGER NOT NULL,
  part INTEGER NOT NULL,
  contract TEXT NOT NULL,
  event TEXT NOT NULL,
  tx BLOB NOT NULL,
  time INTEGER NOT NULL,
  token BLOB,
  point BLOB,
  slot INTEGER,
  version INTEGER,
  wh INTEGER,
  data TEXT NOT NULL,
  PRIMARY KEY (block, log_index, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX credit_events_slot ON credit_events (point, slot) WHERE point IS NOT NULL;
CREATE INDEX credit_events_event ON credit_events (event, block, log_index);
-- How many rows there are of each event, and their Wh: kept by the two triggers.
CREATE TABLE credit_totals (event TEXT PRIMARY KEY, n INTEGER NOT NULL, wh INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER credit_events_more AFTER INSERT ON credit_events BEGIN
  INSERT INTO credit_totals VALUES (new.event, 1, coalesce(new.wh, 0))
    ON CONFLICT (event) DO UPDATE SET n = n + 1, wh = wh + excluded.wh;
END;
CREATE TRIGGER credit_events_less AFTER DELETE ON credit_events BEGIN
  UPDATE credit_totals SET n = n - 1, wh = wh - coalesce(old.wh, 0) WHERE event = old.event;
END;
CREATE TABLE credit_blocks (
  number INTEGER PRIMARY KEY,
  hash BLOB NOT NULL,
  time INTEGER NOT NULL
) STRICT;

-- Transactions of the credits account, as transactions are of the anchors' account. purpose: mint, claim, ...; about
-- (JSON) what it is for, by which a second one is kept from being sent.
CREATE TABLE credit_transactions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  chain_id INTEGER NOT NULL,
  contract TEXT NOT NULL,
  nonce INTEGER NOT NULL,
  purpose TEXT NOT NULL,
  about TEXT NOT NULL,
  raw TEXT NOT NULL,
  hashes TEXT NOT NULL,
  fee TEXT NOT NULL,
  status TEXT NOT NULL,
  block INTEGER,
  gas_used INTEGER,
  made_ms INTEGER NOT NULL,
  sent_ms INTEGER,
  mined_ms INTEGER
) STRICT;
CREATE INDEX credit_transactions_status ON credit_transactions (status);
`;

/** What serial drivers keep with their readings (marks.ts). */
const MARKS = `
CREATE TABLE marks (
  id INTEGER PRIMARY KEY,
  device INTEGER NOT NULL,
  name TEXT NOT NULL,
  value REAL NOT NULL,
  UNIQUE (device, name)
) STRICT;
`;

/** Who has asked to be looked after (care.ts). */
const CARE = `
CREATE TABLE care (
  device INTEGER PRIMARY KEY,
  since_ms INTEGER NOT NULL,
  until_ms INTEGER,
  consent TEXT NOT NULL,
  made_by TEXT NOT NULL
) STRICT;
CREATE TABLE care_decisions (
  id INTEGER PRIMARY KEY,
  device INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  by TEXT NOT NULL,
  grade TEXT NOT NULL,
  decision TEXT NOT NULL,
  note TEXT NOT NULL
) STRICT;
CREATE INDEX care_decisions_device ON care_decisions (device);
`;

/** What needed a person (alarms.ts): place is a DID, or what in that part; change the order in which they are told. */
const ALARMS = `
CREATE TABLE alarms (
  id INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  code TEXT NOT NULL,
  part TEXT NOT NULL,
  place TEXT NOT NULL,
  detail TEXT NOT NULL,
  severity TEXT NOT NULL,
  raised_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  times INTEGER NOT NULL,
  cleared_ms INTEGER,
  change INTEGER NOT NULL
) STRICT;
CREATE INDEX alarms_change ON alarms (change);
CREATE INDEX alarms_open ON alarms (id) WHERE cleared_ms IS NULL;
`;

export const MIGRATIONS: readonly string[] = [
  TABLES,
  RECEIPTS,
  ORIGIN_OF_TRANSACTIONS,
  RETENTION,
  WITNESSES,
  CHECKS,
  REGISTRY,
  CONTENTS,
  PEOPLE,
  CREDITS,
  MARKS,
  CARE,
  ALARMS,
];
export const SCHEMA_VERSION = MIGRATIONS.length;
