import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { Writer } from '../../edge/store/writer.ts';
import { tempFolder } from '../support/temp.ts';

const unavailable = expect.objectContaining({ code: 'STORE_UNAVAILABLE' });
const sql = (text: string, ...params: (string | number)[]) => ({ sql: text, params });
const write = (...statements: ReturnType<typeof sql>[]) => ({ statements });
const note = (job: number) => sql('INSERT INTO seen (job) VALUES (?)', job);

async function openWriter(): Promise<{ writer: Writer; path: string; seen: () => number[] }> {
  const path = join(tempFolder(), 'edge.db');
  const writer = await Writer.open(path);
  await writer.write(write(sql('CREATE TABLE seen (n INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER UNIQUE) STRICT')));
  const seen = (): number[] => {
    const db = new Database(path, { readonly: true });
    const jobs = db.prepare('SELECT job FROM seen ORDER BY n').pluck().all() as number[];
    db.close();
    return jobs;
  };
  return { writer, path, seen };
}

describe('the writer', () => {
  it('commits what was asked meanwhile in one transaction, in the order in which it was asked', async () => {
    const { writer, seen } = await openWriter();
    const before = writer.commits;
    const jobs = Array.from({ length: 500 }, (_, i) => i);
    const done: number[] = [];
    await Promise.all(jobs.map((i) => writer.write(write(note(i))).then(() => done.push(i))));
    expect(writer.commits - before).toBe(2); // the first alone, and all that came while it was written
    expect(seen()).toEqual(jobs);
    expect(done).toEqual(jobs);
    await writer.close();
  });

  it('answers when another connection can read it', async () => {
    const { writer, seen } = await openWriter();
    for (let i = 0; i < 20; i++) {
      await writer.write(write(note(i)));
      expect(seen()).toHaveLength(i + 1);
    }
    await writer.close();
  });

  it('writes nothing once more of a group that is on disk though it failed', async () => {
    process.env.SEJONG_EDGE_FAULTS = 'late.after=error@1'; // read by the thread, when it starts
    const { writer, path } = await openWriter().finally(() => delete process.env.SEJONG_EDGE_FAULTS);
    const add = (job: number) => sql('INSERT INTO plain (job) VALUES (?)', job);
    await writer.write(write(sql('CREATE TABLE plain (job INTEGER) STRICT')));
    const first = writer.write(write(add(0)));
    const results = await Promise.allSettled([
      writer.write(write(add(1))),
      writer.write({ name: 'late', statements: [add(2)] }),
      writer.write(write(add(3))),
    ]);
    await first;
    // Each of them is told, and looks: nobody knows which of them would be harmed by a second time.
    expect(results).toEqual(results.map(() => ({ status: 'rejected', reason: unavailable })));
    await writer.write(write(add(4)));
    const db = new Database(path, { readonly: true });
    expect(db.prepare('SELECT job FROM plain ORDER BY rowid').pluck().all()).toEqual([0, 1, 2, 3, 4]);
    db.close();
    await writer.close();
  });

  it('refuses a bad job alone: those before and after it are written, in order, and of it nothing is', async () => {
    const { writer, seen } = await openWriter();
    const first = writer.write(write(note(0)));
    const results = Promise.allSettled([
      writer.write(write(note(1))),
      writer.write(write(note(100), note(1))), // the second statement hits what the job before wrote
      writer.write(write(note(2))),
      writer.write(write(note(101), sql('INSERT INTO seen (job) VALUES (?)', 'text in an integer column'))),
      writer.write(write(note(102), sql('no SQL at all'))),
      writer.write(write(note(3))),
      writer.write(write()),
    ]);
    await first;
    const settled = await results;
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    for (const result of settled) if (result.status === 'rejected') expect(result.reason).toEqual(unavailable);
    expect(seen()).toEqual([0, 1, 2, 3]);
    await writer.write(write(note(4)));
    expect(seen()).toEqual([0, 1, 2, 3, 4]);
    await writer.close();
  });

  it('counts only what it committed', async () => {
    const { writer } = await openWriter();
    const before = writer.commits;
    await expect(writer.write(write(sql('no SQL at all')))).rejects.toEqual(unavailable);
    expect(writer.commits).toBe(before);
    await writer.close();
  });

  it('writes all that was asked before it closes, and nothing after', async () => {
    const { writer, path, seen } = await openWriter();
    const writes = Promise.all(Array.from({ length: 50 }, (_, i) => writer.write(write(note(i)))));
    const closed = writer.close();
    await writes;
    await closed;
    expect(seen()).toHaveLength(50);
    await expect(writer.write(write(note(99)))).rejects.toEqual(unavailable);
    await writer.close();
    // Nobody has it open any more: only then can the journal mode be changed, and only then is the WAL gone.
    const db = new Database(path);
    expect(db.pragma('journal_mode = DELETE', { simple: true })).toBe('delete');
    expect(db.prepare('SELECT count(*) FROM seen').pluck().get()).toBe(50);
    db.close();
  });

  it('has synchronous = FULL on its own connection, at the first open and when the file is opened again', async () => {
    // A pragma is a connection's own; asked through the writer, SQLite answers for that one.
    const path = join(tempFolder(), 'edge.db');
    for (const open of ['first', 'second', 'third']) {
      const writer = await Writer.open(path);
      await writer.write(
        write(
          sql("INSERT INTO meta SELECT ? || ' synchronous', synchronous FROM pragma_synchronous", open),
          sql("INSERT INTO meta SELECT ? || ' journal', journal_mode FROM pragma_journal_mode", open),
        ),
      );
      await writer.close();
    }
    const db = new Database(path, { readonly: true });
    expect(db.pragma('synchronous', { simple: true }), 'what a reopened WAL database says by itself: NORMAL').toBe(1);
    expect(db.prepare('SELECT key, value FROM meta ORDER BY key').raw().all()).toEqual([
      ['first journal', 'wal'],
      ['first synchronous', '2'],
      ['second journal', 'wal'],
      ['second synchronous', '2'],
      ['third journal', 'wal'],
      ['third synchronous', '2'],
    ]);
    db.close();
  });

  it('that cannot open its file says so, and leaves no thread behind', async () => {
    await expect(Writer.open(tempFolder())).rejects.toEqual(unavailable);
  });
});
