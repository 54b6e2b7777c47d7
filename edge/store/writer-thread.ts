/**
 * The one writer, on its own thread: an fsync on an SD card can take 200 ms and more, and must not stall
 * pings, HTTP or serial timing. Each message is a list of jobs; all of them go into one transaction.
 */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { faultPoint } from '../faults.ts';
import { ContentWriter } from './contents.ts';
import { MIGRATIONS } from './schema.ts';
import type { EntryBatch, WriteJob, WriterReply, WriterRequest } from './writer.ts';

const INSERT_ENTRY = `INSERT INTO entries
  (idx, device, epoch, seq, received_ms, mono_ms, boot, clock_synced, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`;

const { path, maxBytes } = workerData as { path: string; maxBytes: number };
const db = new Database(path);
db.pragma('journal_mode = WAL');
// A reopened WAL database reports NORMAL: without FULL the last commits before a power cut may be gone.
db.pragma('synchronous = FULL');
db.pragma('foreign_keys = ON');
migrate(db.pragma('user_version', { simple: true }) as number);
// A file that is larger already stays as it is, and grows no more.
if (maxBytes > 0)
  db.pragma(`max_page_count = ${Math.floor(maxBytes / (db.pragma('page_size', { simple: true }) as number))}`);
// Where rows lie while prune.ts moves them together; in memory, so that a full disk cannot keep them from it.
db.pragma('temp_store = MEMORY');
db.exec('CREATE TEMP TABLE moving AS SELECT * FROM entries WHERE 0');
db.exec('CREATE TEMP TABLE moving_contents AS SELECT * FROM contents WHERE 0');
// Zeros over what is deleted, where that costs no page more: contents.ts relies on it for pages that SQLite reshapes.
db.pragma('secure_delete = FAST');
const contents = new ContentWriter(db);

/** All steps that are missing, in one transaction: a power cut leaves the old format or the new one. */
function migrate(from: number): void {
  if (from >= MIGRATIONS.length) return; // a newer format is refused by whoever opened it
  db.transaction(() => {
    for (const step of MIGRATIONS.slice(from)) {
      db.exec(step);
      if (from > 0) faultPoint('upgrade.step');
    }
    db.pragma(`user_version = ${MIGRATIONS.length}`);
    if (from > 0) faultPoint('upgrade.before');
  })();
  if (from > 0) faultPoint('upgrade.after');
}

const prepared = new Map<string, Database.Statement>();
function statement(sql: string): Database.Statement {
  let found = prepared.get(sql);
  if (!found) {
    found = db.prepare(sql);
    prepared.set(sql, found);
  }
  return found;
}

function insertEntries(batch: EntryBatch): void {
  const insert = statement(INSERT_ENTRY);
  const envelopes = Buffer.from(batch.envelopes.buffer, batch.envelopes.byteOffset, batch.envelopes.byteLength);
  let at = 0;
  for (let i = 0; i < batch.lengths.length; i++) {
    const c = i * 6;
    const end = at + (batch.lengths[i] as number);
    insert.run(
      batch.first + i,
      batch.columns[c],
      batch.columns[c + 1],
      batch.columns[c + 2],
      batch.columns[c + 3],
      batch.columns[c + 4],
      batch.boot,
      batch.columns[c + 5],
      envelopes.subarray(at, end),
    );
    at = end;
  }
  if (batch.contents) contents.insert(batch.first, batch.contents);
}

/** Statements first: where the file may not grow, what they take away makes room for the entry that speaks of it. */
function run(job: WriteJob): void {
  for (const { sql, params } of job.statements) statement(sql).run(...params);
  if (job.entries) insertEntries(job.entries);
}

/** Whether the COMMIT of the newest transaction returned: what is thrown after it is not of something undone. */
let committed = false;

/** BEGIN, run, COMMIT; anything thrown before the end of it rolls back. */
function commit(jobs: readonly WriteJob[]): void {
  committed = false;
  contents.begin();
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const job of jobs) run(job);
    for (const { name = 'write' } of jobs) faultPoint(`${name}.before`);
    faultPoint('commit');
    db.exec('COMMIT');
    committed = true;
    for (const { name = 'write' } of jobs) faultPoint(`${name}.after`);
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    if ((error as { code?: string }).code === 'SQLITE_FULL') giveBackWal();
    throw error;
  }
}

/** What keeps it from being empty, if so: a reader that still holds on to what was before. */
function emptyWal(): string | null {
  try {
    const [row] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
    return row?.busy === 0 ? null : 'the write-ahead log is being read';
  } catch (error) {
    return problem(error);
  }
}

/**
 * Only a commit that succeeds moves the write-ahead log into the file by itself. On a full disk none may: then its own
 * room is what the next commit lacks.
 */
function giveBackWal(): void {
  try {
    db.pragma('wal_checkpoint(TRUNCATE)');
  } catch {
    // There is no room for that either; the disk must get some from elsewhere.
  }
}

const problem = (error: unknown): string => {
  const { code, message } = error as { code?: string; message: string };
  return code ? `${code}: ${message}` : message;
};

function handle(jobs: readonly WriteJob[]): (string | null)[] {
  return write(jobs).map((found, i) => found ?? (jobs[i]?.emptyLog ? emptyWal() : null));
}

function write(jobs: readonly WriteJob[]): (string | null)[] {
  try {
    commit(jobs);
    return jobs.map(() => null);
  } catch (error) {
    // On disk all the same: not once more, an INSERT would be there twice. Whoever asked looks.
    if (committed || jobs.length === 1) return jobs.map(() => problem(error));
    // One job's fault must not refuse the others: each again, in a transaction of its own.
    return jobs.map((job) => {
      try {
        commit([job]);
        return null;
      } catch (one) {
        return problem(one);
      }
    });
  }
}

if (!parentPort) throw new Error('writer-thread.ts runs as a worker');
const port = parentPort;
port.on('message', (request: WriterRequest) => {
  if (request === 'close') {
    db.close();
    port.close();
    return;
  }
  port.postMessage({ problems: handle(request.jobs) } satisfies WriterReply);
});
port.postMessage({ problems: [] } satisfies WriterReply);
flushCompileCache(); // now, because a box on a pole ends by losing its power
