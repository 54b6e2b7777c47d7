/** The fault points, in a program of its own: a kill of this one would end the tests. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { tempFolder } from '../support/temp.ts';

const HOLDER = fileURLToPath(new URL('holder.ts', import.meta.url));

/** Writes n0, n1, ... until it dies; answers what it was told is on disk, how it ended, and what is there. */
async function writeUntilDeath(faults: string) {
  const path = join(tempFolder(), 'edge.db');
  const child = spawn(process.execPath, [HOLDER, path, 'write'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, SEJONG_EDGE_FAULTS: faults },
  });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
  await once(child, 'close');
  const db = new Database(path, { readonly: true });
  const there = db.prepare("SELECT count(*) FROM meta WHERE key GLOB 'n[0-9]*'").pluck().get() as number;
  db.close();
  return { said: said.filter((l) => /^\d+$/.test(l)).length, last: said.at(-1), signal: child.signalCode, there };
}

it('kills before a commit, when nothing of it is on disk', async () => {
  // The first write is the number of the boot.
  const { said, signal, there } = await writeUntilDeath('write.before=kill@6');
  expect([said, signal, there]).toEqual([4, 'SIGKILL', 4]);
});

it('kills after a commit, when it is on disk and nobody has been told', async () => {
  const { said, signal, there } = await writeUntilDeath('write.after=kill@6');
  expect([said, signal, there]).toEqual([4, 'SIGKILL', 5]);
});

it('throws before a commit: the write is refused and nothing of it is there', async () => {
  const { said, last, there } = await writeUntilDeath('write.before=error@6');
  expect([said, last, there]).toEqual([4, 'STORE_UNAVAILABLE', 4]);
});

it('throws after a commit: the write is refused and is there all the same', async () => {
  const { said, last, there } = await writeUntilDeath('write.after=error@6');
  expect([said, last, there]).toEqual([4, 'STORE_UNAVAILABLE', 5]);
});

it('refuses a list that it cannot read, rather than run without the faults that were asked for', async () => {
  const child = spawn(process.execPath, [HOLDER, join(tempFolder(), 'edge.db')], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, SEJONG_EDGE_FAULTS: 'write.before=explode@1' },
  });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
  await once(child, 'close');
  expect(said).toEqual(['STORE_UNAVAILABLE']);
});
