import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { asideName, asidesOf, moveAside } from '../../edge/store/aside.ts';
import { Store, setMeta } from '../../edge/store/store.ts';
import { tempFolder } from '../support/temp.ts';

const code = (name: string) => expect.objectContaining({ code: name });
const newPath = (): string => join(tempFolder(), 'edge.db');

async function openStore(path: string): Promise<Store> {
  const store = await Store.open(path);
  onTestFinished(() => store.close());
  return store;
}

/** Some pages of entries. */
const FILL = {
  sql: `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)
    INSERT INTO entries SELECT i, 1, 0, i, 0, 0, 1, 1, zeroblob(300) FROM n`,
  params: [],
};

/** holder.ts over this store. */
function otherProcess(path: string, ...then: 'write'[]): ChildProcess & { lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, [fileURLToPath(new URL('holder.ts', import.meta.url)), path, ...then], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
  return Object.assign(child, { lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() });
}
const nextLine = async ({ lines }: { lines: AsyncIterator<string> }): Promise<string> => (await lines.next()).value;
async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe('a data folder', () => {
  it('is counted at each open, and opens again after a clean stop', async () => {
    const path = newPath();
    for (const boot of [1, 2, 3]) {
      const store = await openStore(path);
      expect(store.boot).toBe(boot);
      expect(store.meta('boot')).toBe(String(boot));
      expect(store.meta('clean')).toBe('0');
      await store.close();
      expect(existsSync(`${path}-wal`), 'all of it is in the one file').toBe(false);
      const db = new Database(path);
      expect(db.prepare("SELECT value FROM meta WHERE key = 'clean'").pluck().get()).toBe('1');
      db.close();
    }
  });

  it('is made where there is none yet, with the folders above it, for its owner only', async () => {
    const path = join(tempFolder(), 'a', 'b', 'edge.db');
    await openStore(path);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
  });

  it('is for one gateway: a second one in this process is refused, and harms nothing', async () => {
    const path = newPath();
    const store = await openStore(path);
    for (let i = 0; i < 3; i++) await expect(Store.open(path)).rejects.toEqual(code('DATA_IN_USE'));
    await store.write({ statements: [setMeta('still', 'here')] });
    expect(store.meta('still')).toBe('here');
    expect(store.meta('boot')).toBe('1');
    await store.close();
    expect((await openStore(path)).boot).toBe(2);
  });

  it('is for one gateway: another process is refused while this one has it, and the other way round', async () => {
    const path = newPath();
    const store = await openStore(path);
    const refused = otherProcess(path);
    expect(await nextLine(refused)).toBe('DATA_IN_USE');
    await store.close();
    const holder = otherProcess(path);
    expect(await nextLine(holder)).toBe('open');
    await expect(Store.open(path)).rejects.toEqual(code('DATA_IN_USE'));
    await kill(holder);
    expect((await openStore(path)).boot).toBe(3);
  });

  it('is free again after SIGKILL of its holder, with all that was answered in it', async () => {
    const path = newPath();
    const holder = otherProcess(path, 'write');
    expect(await nextLine(holder)).toBe('open');
    let answered = -1;
    while (answered < 30) answered = Number(await nextLine(holder));
    holder.kill('SIGKILL');
    for (let line = await holder.lines.next(); !line.done; line = await holder.lines.next())
      answered = Math.max(answered, Number(line.value));
    const store = await openStore(path);
    expect(store.boot).toBe(2);
    for (let i = 0; i <= answered; i++) expect(store.meta(`n${i}`), `n${i}`).toBe('v');
  });

  it.each([['of a later data format', 'PRAGMA user_version = 99', 'DATA_FORMAT']])(
    '%s is refused, left as it is, and left by all who had it open',
    async (_, change, expected) => {
      const path = newPath();
      await (await openStore(path)).close();
      const db = new Database(path);
      db.exec(change);
      db.close();
      await expect(Store.open(path)).rejects.toEqual(code(expected));
      const after = new Database(path);
      // Possible only when no other connection is left, the writer's thread included.
      expect(after.pragma('journal_mode = DELETE', { simple: true })).toBe('delete');
      after.close();
      expect(readdirSync(join(path, '..')).sort()).toEqual(['edge.db', 'edge.db.lock']);
    },
  );

  it('that cannot be opened is not called damaged, and nothing is set aside', async () => {
    const path = newPath();
    mkdirSync(path); // a folder where the file should be
    await expect(Store.open(path)).rejects.toEqual(code('STORE_UNAVAILABLE'));
    expect(readdirSync(join(path, '..')).sort()).toEqual(['edge.db', 'edge.db.lock']);
  });
});

describe('a damaged database', () => {
  /** What a power cut leaves of a store with 2,000 entries, here with all of it in the one file. */
  async function unclean(): Promise<string> {
    const store = await openStore(newPath());
    await store.write({ statements: [FILL] });
    const db = new Database(store.path);
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
    const path = newPath();
    copyFileSync(store.path, path);
    await store.close();
    return path;
  }

  async function clean(): Promise<string> {
    const path = newPath();
    const store = await openStore(path);
    await store.write({ statements: [FILL] });
    await store.close();
    return path;
  }

  function overwrite(path: string, from: number, bytes: Uint8Array): void {
    const all = readFileSync(path);
    all.set(bytes, from);
    writeFileSync(path, all);
  }

  /** Bytes that look like nothing, the same in each run. */
  function noise(length: number): Uint8Array {
    let x = 1;
    return Uint8Array.from({ length }, () => {
      x = (x * 1_103_515_245 + 12_345) % 2 ** 31;
      return x >> 16;
    });
  }

  /** It is refused and left as it is; set aside it is whole, and the next open begins anew. */
  async function expectSetAside(path: string): Promise<void> {
    const folder = join(path, '..');
    const before = new Map(
      ['edge.db', 'edge.db-wal'].flatMap((name) =>
        existsSync(join(folder, name)) ? [[name, readFileSync(join(folder, name))] as const] : [],
      ),
    );
    await expect(Store.open(path)).rejects.toEqual(code('STORE_DAMAGED'));
    const aside = join(folder, asideName(path, 'damaged'));
    moveAside(path, aside);
    expect(asidesOf(path)).toEqual([aside]);
    for (const [name, bytes] of before) {
      expect(existsSync(join(folder, name)), `${name} is out of the way`).toBe(false);
      expect(readFileSync(aside + name.slice('edge.db'.length)).equals(bytes), `${name} is kept as it was`).toBe(true);
    }
    const fresh = await openStore(path);
    expect(fresh.boot).toBe(1);
    expect(fresh.get('SELECT count(*) AS n FROM entries')).toEqual({ n: 0 });
    await fresh.close();
    for (const name of before.keys()) expect(existsSync(aside + name.slice('edge.db'.length))).toBe(true);
  }

  it('after an unclean stop that harmed nothing opens as it was', async () => {
    const store = await openStore(await unclean());
    expect(store.boot).toBe(2);
    expect(store.get('SELECT count(*) AS n FROM entries')).toEqual({ n: 2_000 });
  });

  it.each([
    ['cut off in the middle', async (path: string) => truncateSync(path, readFileSync(path).length >> 1)],
    ['cut off within a page', async (path: string) => truncateSync(path, 4096 * 20 + 100)],
    ['with zeros over its header', async (path: string) => overwrite(path, 0, new Uint8Array(100))],
    ['with zeros over its first page', async (path: string) => overwrite(path, 0, new Uint8Array(4096))],
    ['that is no database', async (path: string) => writeFileSync(path, 'Somebody saved a letter here.\n'.repeat(500))],
    ['of no length at all', async (path: string) => truncateSync(path, 0)],
  ])('%s is found after a clean and after an unclean stop', async (_, harm) => {
    for (const path of [await clean(), await unclean()]) {
      await harm(path);
      await expectSetAside(path);
    }
  });

  it('with random bytes in its middle is found after an unclean stop', async () => {
    for (const page of [30, 60, 90]) {
      const path = await unclean();
      overwrite(path, page * 4096, noise(4096));
      await expectSetAside(path);
    }
  });

  it('is not looked for in its middle after a clean stop: a start costs no reading of all that is there', async () => {
    const path = await clean();
    overwrite(path, 60 * 4096, noise(4096));
    const store = await openStore(path);
    expect(store.boot).toBe(2);
    await store.close();
  });

  it('of another program is set aside, whatever its version says', async () => {
    for (const version of [0, 1]) {
      const path = newPath();
      const db = new Database(path);
      db.exec(`CREATE TABLE recipes (name TEXT); PRAGMA user_version = ${version}`);
      db.close();
      await expectSetAside(path);
    }
  });

  it('goes aside with its write-ahead log', async () => {
    const path = await unclean();
    writeFileSync(`${path}-wal`, noise(8_192));
    overwrite(path, 0, new Uint8Array(100));
    await expectSetAside(path);
  });

  it('that is gone or empty while its write-ahead log is there is not taken for a new one', async () => {
    for (const empty of [true, false]) {
      const store = await openStore(newPath());
      await store.write({ statements: [FILL] }); // it is in the WAL now, and nowhere else
      const path = newPath();
      copyFileSync(`${store.path}-wal`, `${path}-wal`);
      if (empty) writeFileSync(path, '');
      await store.close();
      await expectSetAside(path);
    }
  });

  it('of which the very first start made nothing yet is no damage', async () => {
    const path = newPath();
    const db = new Database(path);
    db.pragma('journal_mode = WAL');
    db.close();
    expect((await openStore(path)).boot).toBe(1);
  });
});
