/**
 * From the data folder to an open log. Where the database is damaged or gone, or the chain has shown it to be an older
 * copy, it is set aside and the next epoch of the log begins, under an origin that names the head of the one before:
 *
 *   leaving (why, and under which name) -> files moved -> next (the new origin) -> new database -> genesis -> carried
 *
 * Each arrow is one durable step, in epoch.json or in the new database; a start after a power cut goes on from there.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { faultPoint } from '../faults.ts';
import { Log, type LogKey } from '../log/log.ts';
import { type Aside, asideName, moveAside } from '../store/aside.ts';
import { Devices } from '../store/devices.ts';
import { Quarantine } from '../store/quarantine.ts';
import { Registry } from '../store/registry.ts';
import { Store, type StoreLock, setMeta } from '../store/store.ts';
import { Epoch } from './epoch.ts';
import {
  type Owner,
  openAside,
  salvageCounters,
  salvageDevices,
  salvagedLog,
  salvageMarks,
  salvagePeople,
  salvageQuarantine,
  salvageTransactions,
  salvageWitnessed,
  saveRegistry,
} from './salvage.ts';
import {
  type Beginning,
  EpochFile,
  type EpochState,
  type Head,
  originAfter,
  type Previous,
  type Reason,
} from './state.ts';

export type EpochOptions = {
  dataFolder: string;
  /** The gateway's name, and the origin of its first log. */
  name: string;
  did: string;
  key: Omit<LogKey, 'origin'>;
  /** What the chain holds under an origin; undefined where it does not say. */
  chainHead: (origin: string) => Promise<Head | undefined>;
  /** That the database may grow to; 0 for no limit. */
  maxBytes: number;
  warn: (line: string) => void;
};

type Leaving = { reason: Reason; detail: string };

/** A new database is damaged at once only where the disk is; then a person is needed. */
const MAX_TURNS = 3;

/** @throws EdgeError DATA_IN_USE, STORE_DAMAGED, STORE_OTHER_LOG, DATA_FORMAT, STORE_UNAVAILABLE */
export async function openEpoch(o: EpochOptions): Promise<Epoch> {
  const path = join(o.dataFolder, 'edge.db');
  const file = new EpochFile(o.dataFolder);
  const registry = new Registry(join(o.dataFolder, 'registry.jsonl'), (e) =>
    o.warn(`store: registry.jsonl: ${(e as Error).message}`),
  );
  const lock = Store.lock(path);
  try {
    for (let turn = 0; ; turn++) {
      if (file.state.leaving) await begin(o, path, file);
      const opened = await openHere(o, path, file, registry, lock);
      if (opened instanceof Epoch) return opened;
      if (turn === MAX_TURNS) throw new EdgeError('STORE_DAMAGED', opened.detail);
      const aside = asideName(path, opened.reason === 'damaged' ? 'damaged' : 'behind');
      file.set({ leaving: { aside, ...opened } });
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The log as it is here, or why it is to be left. */
async function openHere(
  o: EpochOptions,
  path: string,
  file: EpochFile,
  registry: Registry,
  lock: StoreLock,
): Promise<Epoch | Leaving> {
  const { origin, next } = file.state;
  if (!existsSync(path) && origin !== '' && !next) return { reason: 'damaged', detail: `${path}: the file is gone` };
  let store: Store;
  try {
    store = await Store.open(path, {
      ...{ held: lock, leastBoot: next?.boot ?? 1, maxBytes: o.maxBytes },
      report: (line) => o.warn(`store: ${line}`),
    });
  } catch (error) {
    return damage(error);
  }
  try {
    if (next && store.meta('origin') === undefined) await takeOver(o, store, path, file, registry, next);
    const behind = store.meta('behind');
    if (behind !== undefined) {
      await store.leave();
      return { reason: 'rolled-back', detail: (JSON.parse(behind) as { detail: string }).detail };
    }
    const log = new Log(store, { ...o.key, origin: await checkOwner(store, o) });
    log.start();
    const devices = new Devices(store);
    devices.start();
    const quarantine = new Quarantine(store);
    quarantine.start();
    const { state } = file;
    if (state.origin === log.origin && isOlder(log, state)) {
      await store.leave();
      const detail = `${state.size} entries were signed here, and this copy of the database has ${log.size}, or others`;
      return { reason: 'rolled-back', detail };
    }
    registry.catchUp(devices.list());
    devices.onChanged = (device) => registry.keep(device);
    const number = Number(store.meta('epoch') ?? 1);
    file.set({
      origin: log.origin,
      size: log.latest?.size ?? 0,
      root: Buffer.from(log.latest?.root ?? []).toString('hex'),
      boot: store.boot,
      highest: Math.max(state.highest, number),
      ...(log.size > 0 ? { next: undefined } : {}),
    });
    return new Epoch({ store, log, devices, quarantine, registry, file, number, owner: ownerOf(o), warn: o.warn });
  } catch (error) {
    const isDamaged = error instanceof EdgeError && error.code === 'STORE_DAMAGED';
    await (isDamaged ? store.leave() : store.close());
    return damage(error);
  }
}

/** What was signed once is on disk before it is noted: a log that has less, or other entries, is not the newest. */
const isOlder = (log: Log, { size, root }: EpochState): boolean =>
  size > log.size || (size > 0 && Buffer.from(log.root(size)).toString('hex') !== root);

const ownerOf = ({ name, did, key }: EpochOptions): Owner => ({ name, did, publicKey: key.publicKey });

function damage(error: unknown): Leaving {
  if (!(error instanceof EdgeError) || error.code !== 'STORE_DAMAGED') throw error;
  return { reason: 'damaged', detail: error.detail };
}

/** A data folder belongs to one gateway and one set of keys, for ever. @throws EdgeError STORE_OTHER_LOG */
async function checkOwner(store: Store, { name, did, key }: EpochOptions): Promise<string> {
  const ours = { name, did, logKey: Buffer.from(key.publicKey).toString('hex') };
  // The first log is named as the gateway is, and says it once.
  const held = { ...ours, name: store.meta('name') ?? store.meta('origin') ?? name };
  for (const k of ['did', 'logKey'] as const) held[k] = store.meta(k) ?? ours[k];
  for (const k of ['name', 'did', 'logKey'] as const)
    if (held[k] !== ours[k])
      throw new EdgeError(
        'STORE_OTHER_LOG',
        `${store.path} was made with ${k === 'name' ? 'origin' : k} ${held[k]}, now it is ${ours[k]}`,
      );
  const origin = store.meta('origin');
  if (origin !== undefined && store.meta('did') !== undefined && store.meta('logKey') !== undefined) return origin;
  const first = { origin: name, did, logKey: ours.logKey };
  await store.write({ statements: Object.entries(first).map(([k, value]) => setMeta(k, value)) });
  return name;
}

/** Moves the files, and decides what the next epoch is called. */
async function begin(o: EpochOptions, path: string, file: EpochFile): Promise<void> {
  const { leaving, highest, carry } = file.state;
  if (!leaving) return;
  const { aside, reason, detail } = leaving;
  const asidePath = join(dirname(path), aside);
  moveAside(path, asidePath, () => faultPoint('epoch.moving'));
  faultPoint('epoch.moved');
  const left = openAside(asidePath, ownerOf(o));
  const number = Math.max(highest, Number(left?.meta('epoch') ?? 1)) + 1;
  const next = await nameNext(o, file, number, left, reason, detail);
  left?.close();
  file.set({ leaving: undefined, next, highest: next.number, carry: [...carry, aside] });
  faultPoint('epoch.named');
}

async function nameNext(
  o: EpochOptions,
  file: EpochFile,
  number: number,
  left: Aside | undefined,
  reason: Reason,
  detail: string,
): Promise<Beginning> {
  const { state } = file;
  const origin = left?.meta('origin') ?? (state.origin === '' ? o.name : state.origin);
  const heads: Head[] = [];
  if (state.origin === origin && state.size > 0) heads.push({ size: state.size, root: Buffer.from(state.root, 'hex') });
  const readable = left && salvagedLog(left, ownerOf(o)).latest;
  const behind = left?.meta('behind');
  if (behind !== undefined) {
    // The chain's alone: what was signed here may be the other history.
    heads.length = 0;
    const { size, root } = JSON.parse(behind) as { size: number; root: string };
    heads.push({ size, root: Buffer.from(root, 'hex') });
  } else if (readable && reason === 'damaged') heads.push(readable);
  const held = await o.chainHead(origin);
  if (held && held.size > 0) heads.push(held);
  // Of two of one size the chain's, which comes last.
  const newest = heads.reduce<Head | undefined>((a, b) => (a && a.size > b.size ? a : b), undefined);
  let previous: Previous = {
    origin,
    ...(newest ? { size: newest.size, root: Buffer.from(newest.root).toString('hex') } : {}),
  };
  // A new database knows nothing of the runs before; the clock's seconds are more than they can have been.
  const boot = Math.max(Math.floor(Date.now() / 1000), state.boot + 1, Number(left?.meta('boot') ?? 0) + 1);
  const unknown = randomBytes(8).toString('hex');
  for (let n = number; ; n++) {
    const next = originAfter(o.name, n, previous, unknown);
    // One that was begun before, from this same copy: its history is another one than ours will be.
    const taken = await o.chainHead(next);
    if (!taken || taken.size === 0) return { number: n, origin: next, previous, reason, detail, boot };
    previous = { origin: next, size: taken.size, root: Buffer.from(taken.root).toString('hex') };
  }
}

/** All that a new database needs before its first entry. Its origin comes last, and says that the rest is there. */
async function takeOver(
  o: EpochOptions,
  store: Store,
  path: string,
  file: EpochFile,
  registry: Registry,
  next: Beginning,
): Promise<void> {
  const owner = ownerOf(o);
  const asides = file.state.carry.flatMap((name) => openAside(join(dirname(path), name), owner) ?? []);
  try {
    const devices = salvageDevices(asides, registry.read());
    const counters = salvageCounters(asides);
    for (const aside of asides)
      for (const statements of salvageQuarantine(aside)) await store.write({ name: 'salvage', statements });
    for (const aside of asides)
      await store.write({ name: 'salvage', statements: [...salvageWitnessed(aside), ...salvagePeople(aside)] });
    const meta = {
      origin: next.origin,
      name: o.name,
      did: o.did,
      logKey: Buffer.from(o.key.publicKey).toString('hex'),
      epoch: String(next.number),
      previous: JSON.stringify({ ...next.previous, reason: next.reason, detail: next.detail }),
    };
    await store.write({
      name: 'epoch',
      statements: [
        ...saveRegistry(devices, counters),
        ...asides.flatMap((aside) => salvageMarks(aside, devices)),
        ...(next.reason === 'damaged'
          ? asides.flatMap((aside) => salvageTransactions(aside, aside.meta('origin') ?? next.previous.origin))
          : []),
        ...Object.entries(meta).map(([key, value]) => setMeta(key, value)),
      ],
    });
    const spoke = devices.filter(({ did }) => did !== o.did).length;
    const known = devices.filter(({ did }) => did !== o.did && counters.has(did)).length;
    o.warn(
      `log: epoch ${next.number} takes over ${spoke} devices${asides.length === 0 ? ' from the copy of the registry' : ''}, and the counters of ${known}` +
        (known < spoke ? '; the next envelope of each of the others sets the beginning of its counter again' : ''),
    );
  } finally {
    for (const aside of asides) aside.close();
  }
}
