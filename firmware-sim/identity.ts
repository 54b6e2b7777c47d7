/** What makes a device the same one after a restart: its key, what it measures, and how often it has booted. */
import { hash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { didFromPublicKey } from '../edge/wire/did.ts';
import { publicKeyOf } from '../edge/wire/ed25519.ts';
import { makeFolder, readIfThere, writeDurably } from './durable.ts';
import { seedOf } from './random.ts';

export type Kind = 'meter' | 'plant' | 'vehicle';

export type Identity = {
  /** The seed of RFC 8032 section 5.1.5. */
  secretKey: Uint8Array;
  publicKey: Uint8Array;
  did: string;
  sub: string;
  kind: Kind;
  /** Everything by which this device differs from others of its kind follows from it. */
  seed: number;
};

export type NewIdentity = {
  name: string;
  kind: Kind;
  runSeed: number;
  /** Derive the key from the run's seed, for runs that repeat. Anyone who knows the seed knows the key. */
  seeded: boolean;
  /** Different for each device of a run. */
  ordinal: number;
};

/**
 * Reads the key file of a device, or makes it. It is one file, so there is never a key without its metering point.
 * A file that cannot be read is an error, never a reason for a new key.
 */
export function openIdentity(folder: string, fresh: NewIdentity): Identity {
  const path = join(folder, 'key.json');
  let text = readIfThere(path);
  if (text === undefined) {
    const { name, kind, runSeed, seeded, ordinal } = fresh;
    const secretKey = seeded ? seededKey(runSeed, name) : randomBytes(32);
    makeFolder(folder);
    text = `${JSON.stringify({
      secretKey: Buffer.from(secretKey).toString('hex'),
      sub: subject(kind, runSeed, ordinal),
      kind,
      seed: seedOf('device', runSeed, name),
    })}\n`;
    writeDurably(path, text, 0o600);
  }
  const { secretKey: hex, sub, kind, seed } = parse(text, path);
  if (kind !== fresh.kind) throw new Error(`${path} is the key of a ${kind}, not of a ${fresh.kind}`);
  const secretKey = new Uint8Array(Buffer.from(hex, 'hex'));
  const publicKey = publicKeyOf(secretKey);
  return { secretKey, publicKey, did: didFromPublicKey(publicKey), sub, kind, seed };
}

export const seededKey = (runSeed: number, name: string): Uint8Array =>
  new Uint8Array(hash('sha256', `sejong-sim key\n${runSeed}\n${name}`, 'buffer'));

/** Six digits, different for each ordinal below a million: 7919 is a prime that divides no power of ten. */
export function subject(kind: Kind, runSeed: number, ordinal: number): string {
  const digits = (seedOf('subjects', runSeed) + ordinal * 7919) % 1_000_000;
  return `urn:sejong:${kind === 'vehicle' ? 'vehicle' : 'mp'}:${String(digits).padStart(6, '0')}`;
}

/**
 * The epoch of this boot, higher than every one before, on disk before it is used.
 * @param above an epoch that is known to be used, from elsewhere
 */
export function raiseEpoch(folder: string, above: number): number {
  const path = join(folder, 'epoch');
  const text = readIfThere(path);
  if (text !== undefined && !/^\d{1,10}\n$/.test(text))
    throw new Error(`${path} does not hold a boot epoch; with a guessed one counters would be used twice`);
  const epoch = Math.max(Number(text ?? 0), above) + 1;
  if (epoch > 0xffffffff) throw new Error(`${path}: no boot epoch is left`);
  writeDurably(path, `${epoch}\n`, 0o600);
  return epoch;
}

type Stored = { secretKey: string; sub: string; kind: Kind; seed: number };

function parse(text: string, path: string): Stored {
  try {
    const stored = JSON.parse(text) as Stored;
    if (/^[0-9a-f]{64}$/.test(stored.secretKey) && typeof stored.sub === 'string' && Number.isInteger(stored.seed))
      return stored;
  } catch {
    // said below, without the text: it may hold half a key
  }
  throw new Error(`${path} is not a key file of firmware-sim; put it back, or remove the folder to begin a new device`);
}
