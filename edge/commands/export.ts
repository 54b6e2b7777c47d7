import { once } from 'node:events';
import { createWriteStream, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { Transactions } from '../chain/transactions.ts';
import { EdgeError } from '../errors.ts';
import { type BundleEnd, encodeEnd, encodeEntry, encodeHead } from '../log/bundle.ts';
import { Log, type StoredCheckpoint } from '../log/log.ts';
import type { AnchorHint } from '../log/receipt.ts';
import { Devices } from '../store/devices.ts';
import { Entries, type EntryRow } from '../store/entries.ts';
import { Store } from '../store/store.ts';
import type { Command } from './index.ts';
import { LOCAL_OPTIONS, LOCAL_USAGE, localConfig } from './local.ts';

const PAGE = 256;
/** A line about how far it has come, after so many. */
const TELL_EVERY = 10_000;

export const command: Command = {
  usage: `export --out FILE [--from I] [--to J] [--device DID] [--config FILE | --data DIR]

  --out FILE      where to write the bundle; it must not be there yet
  --from I        the first index (default: 0)
  --to J          the first index that is not in it any more (default: all under the newest checkpoint)
  --device DID    of one device alone
${LOCAL_USAGE}

Writes entries with their receipts into one file, which sejong-edge verify takes, with no gateway needed. Reads beside
a gateway that runs, or without one. What is pruned already is left out, and counted. Sealed readings are in it in the
open: give it to nobody but those who may read them.`,
  run: async (args, stop) => {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args,
      options: { ...LOCAL_OPTIONS, out: text, from: text, to: text, device: text },
    });
    const { out, device } = values;
    if (out === undefined) throw new EdgeError('USAGE', 'export needs --out FILE');
    if (existsSync(out)) throw new EdgeError('USAGE', `${out} is there already`);
    const index = (name: 'from' | 'to', otherwise: number): number => {
      const n = values[name] === undefined ? otherwise : Number(values[name]);
      if (!Number.isSafeInteger(n) || n < 0) throw new EdgeError('USAGE', `--${name} is an index`);
      return n;
    };
    const store = Store.read(join(localConfig(values).dataFolder, 'edge.db'));
    try {
      const source = new Source(store);
      const from = index('from', 0);
      const to = index('to', source.size);
      if (from > to || to > source.size)
        throw new EdgeError('USAGE', `${from} up to ${to}: checkpoints cover entries 0 up to ${source.size}`);
      const { entries, pruned } = await write(`${out}.part`, source, { from, to, device }, stop);
      renameSync(`${out}.part`, out);
      console.log(`wrote     ${out}: ${entries} entries, ${pruned} pruned before`);
      console.log(`verify    sejong-edge verify ${out} --key ${source.key}`);
      return 0;
    } finally {
      await store.close();
    }
  },
};

type Covering = { checkpoint: StoredCheckpoint; anchor?: AnchorHint };

/** A log as it stood at one moment, to read from. */
class Source {
  readonly #log: Log;
  readonly entries: Entries;
  readonly #devices: Devices;
  /** The newest checkpoint that is anchored, where there is one, and the newest of all. */
  readonly #checkpoints: Covering[] = [];

  constructor(store: Store) {
    this.entries = new Entries(store);
    this.#devices = new Devices(store);
    const meta = (key: string): string => {
      const value = store.meta(key);
      if (value === undefined) throw new EdgeError('DATA_UNUSABLE', `${store.path} has no log yet`);
      return value;
    };
    this.#log = new Log(store, {
      origin: meta('origin'),
      publicKey: Uint8Array.from(Buffer.from(meta('logKey'), 'hex')),
      sign: () => {
        throw new Error('nothing is signed here');
      },
    });
    store.snapshot(() => {
      this.#log.start();
      this.#devices.start();
      const transactions = new Transactions(store);
      const tx = transactions.ofSize(transactions.anchored().size);
      const anchored = tx && this.#log.checkpointOfSize(tx.size);
      if (anchored) {
        const { chainId, contract, block } = tx;
        const anchor = { chainId, contract, transaction: tx.hashes.at(-1) as string, block: block ?? 0 };
        this.#checkpoints.push({ checkpoint: anchored, anchor });
      }
      if (this.#log.latest) this.#checkpoints.push({ checkpoint: this.#log.latest });
    });
  }

  get key(): string {
    return this.#log.verifierKey;
  }

  /** Entries under a checkpoint. */
  get size(): number {
    return this.#log.latest?.size ?? 0;
  }

  deviceId(did: string): number {
    const device = this.#devices.get(did);
    if (!device) throw new EdgeError('DEVICE_UNKNOWN', did);
    return device.id;
  }

  line({ idx: index, entry, envelope, salt, forgotten }: EntryRow): string {
    const found = this.#checkpoints.find(({ checkpoint }) => checkpoint.size > index) as Covering;
    const { checkpoint, anchor } = found;
    const path = this.#log.inclusion(index, checkpoint.size);
    return encodeEntry({
      index,
      entry,
      path,
      checkpoint: checkpoint.note,
      ...(anchor ? { anchor } : {}),
      ...(salt && !forgotten ? { opening: { salt, envelope } } : {}),
    });
  }
}

/** Page by page, none read before the one before is on its way: a running gateway is not held up. */
async function write(
  path: string,
  source: Source,
  { from, to, device }: { from: number; to: number; device: string | undefined },
  stop: AbortSignal,
): Promise<BundleEnd> {
  const only = device === undefined ? undefined : source.deviceId(device);
  const file = createWriteStream(path, { flags: 'wx', flush: true });
  const done = finished(file);
  done.catch(() => undefined); // it is awaited at the end; until then the file is only left
  const end = { entries: 0, pruned: 0, forgotten: 0 };
  try {
    file.write(encodeHead({ key: source.key, from, to, ...(device === undefined ? {} : { device }) }));
    for (let at = from; at < to; ) {
      if (stop.aborted) throw new EdgeError('USAGE', 'export was stopped, nothing is left of it');
      const rows = source.entries.page(at, Math.min(PAGE, to - at));
      at += rows.length;
      const lines: string[] = [];
      for (const row of rows) {
        if (only !== undefined && row.device !== only) continue;
        // Without its content nothing shows whose it is.
        if (row.leaf || (row.forgotten && only !== undefined)) end.pruned++;
        else {
          lines.push(source.line(row));
          if (row.forgotten) end.forgotten++;
          end.entries++;
        }
      }
      if (!file.write(lines.join(''))) await Promise.race([once(file, 'drain'), done]);
      if (Math.floor(at / TELL_EVERY) > Math.floor((at - rows.length) / TELL_EVERY))
        console.log(`read      ${at} of ${to}`);
    }
    file.end(encodeEnd(end));
    await done;
    return end;
  } catch (error) {
    file.destroy();
    rmSync(path, { force: true });
    if (error instanceof EdgeError) throw error;
    throw new EdgeError('DATA_UNUSABLE', `cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}
