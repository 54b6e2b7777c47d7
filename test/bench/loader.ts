/**
 * Fills the log of a data folder that no gateway has open, by the store's and the log's own code: what it makes is a
 * valid log, each entry signed by its device. The devices are enrolled, and take turns.
 */
import { createPrivateKey, sign } from 'node:crypto';
import { join } from 'node:path';
import { localConfig } from '../../edge/commands/local.ts';
import { openIdentity } from '../../edge/identity.ts';
import { Log, type NewEntry } from '../../edge/log/log.ts';
import { CounterState } from '../../edge/store/counters.ts';
import { Devices, saveCounter } from '../../edge/store/devices.ts';
import { Store } from '../../edge/store/store.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { type BenchFolder, makeDevice } from './start.ts';

/** Entries in one transaction. */
const BATCH = 5000;
const FIRST_MS = 1_790_000_000_000;
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SIGNATURE_BYTES = 64;

const signInPool = promisified(sign);

function promisified(f: typeof sign) {
  return (bytes: Uint8Array, key: Parameters<typeof sign>[2]): Promise<Buffer> =>
    new Promise((resolve, reject) => f(null, bytes, key, (error, made) => (error ? reject(error) : resolve(made))));
}

/** Answers how many entries a second were loaded. */
export async function loadLog(folder: BenchFolder, entries: number, deviceCount: number): Promise<number> {
  const config = localConfig({ config: folder.config });
  const { logKey } = openIdentity(config);
  const store = await Store.open(join(folder.data, 'edge.db'));
  const log = new Log(store, {
    origin: config.log.origin,
    publicKey: publicKeyOf(logKey),
    sign: (message) => signEd25519(message, logKey),
  });
  log.start();
  const devices = new Devices(store);
  devices.start();
  const enrolled = folder.enrolled.get('Ed25519 sensor') ?? [];
  folder.enrolled.set('Ed25519 sensor', enrolled);
  const writers = [];
  for (let i = 0; i < deviceCount; i++) {
    const device = makeDevice(i, 'Ed25519', 'sensor');
    const { did, sub, secretKey } = device;
    if (!devices.get(did)) await devices.enrol({ did, kind: 'sensor', custody: 'device', sub }, FIRST_MS);
    if (i >= enrolled.length) enrolled.push(device);
    const der = Buffer.concat([ED25519_PKCS8, Buffer.from(secretKey, 'hex')]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    writers.push({ id: devices.get(did)?.id as number, did, sub, key, counter: CounterState.fresh });
  }
  const epoch = ++folder.epoch;
  const first = log.size;
  const begun = performance.now();
  let appended: Promise<unknown> = Promise.resolve();
  for (let from = 0; from < entries; from += BATCH) {
    const batch: NewEntry[] = [];
    const signed: Promise<void>[] = [];
    const touched = new Set<(typeof writers)[number]>();
    for (let i = from; i < Math.min(entries, from + BATCH); i++) {
      const writer = writers[i % writers.length] as (typeof writers)[number];
      const seq = Math.floor(i / writers.length);
      const receivedMs = FIRST_MS + i;
      const claims = { iss: writer.did, sub: writer.sub, iat: Math.floor(receivedMs / 1000), epoch, seq };
      const records = [
        { n: '1-0:1.8.0', u: 'Wh', v: 1_000_000 + seq },
        { n: '1-0:16.7.0', u: 'W', v: 400 + (i % 200) },
      ];
      let covered = new Uint8Array();
      const envelope = encodeEnvelope(claims, records, (bytes) => {
        covered = new Uint8Array(bytes);
        return new Uint8Array(SIGNATURE_BYTES);
      });
      // The signature is the last thing of a COSE_Sign1.
      signed.push(
        signInPool(covered, writer.key).then((made) => envelope.set(made, envelope.length - SIGNATURE_BYTES)),
      );
      batch.push({ envelope, device: writer.id, epoch, seq, receivedMs, monoMs: i, clockSynced: true });
      writer.counter = writer.counter.take(epoch, seq, first + i, receivedMs) as CounterState;
      touched.add(writer);
    }
    await Promise.all(signed);
    await appended;
    appended = log.append(
      batch,
      [...touched].map(({ id, counter }) => saveCounter(id, counter)),
    );
    appended.catch(() => undefined); // it is awaited in the next turn
  }
  await appended;
  const rate = entries / ((performance.now() - begun) / 1000);
  await log.makeCheckpoint(Date.now());
  await store.close();
  return rate;
}
