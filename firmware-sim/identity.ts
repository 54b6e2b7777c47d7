/** What makes a device the same one after a restart: its key, what it measures, and how often it has booted. */
import { join } from 'node:path';
import { type KeyType, VERIFIERS } from '../edge/wire/keys.ts';
import { makeFolder, readIfThere, writeDurably } from './durable.ts';
import { seedOf } from './random.ts';
import { didOf, newSecretKey, type SecretKey } from './signer.ts';

export type Kind = 'meter' | 'plant' | 'vehicle' | 'storage';

export type Identity = SecretKey & {
  did: string;
  sub: string;
  kind: Kind;
  /** Everything by which this device differs from others of its kind follows from it. */
  seed: number;
};

export type NewIdentity = {
  name: string;
  kind: Kind;
  /** Of a key that is made now; one that is there stays as it is. */
  keyType?: KeyType;
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
    const { name, kind, keyType = 'Ed25519', runSeed, seeded, ordinal } = fresh;
    const secretKey = newSecretKey(keyType, seeded ? keySeed(runSeed, name) : undefined);
    makeFolder(folder);
    text = `${JSON.stringify({
      keyType,
      secretKey: Buffer.from(secretKey).toString('hex'),
      sub: subject(kind, runSeed, ordinal),
      kind,
      seed: seedOf('device', runSeed, name),
    })}\n`;
    writeDurably(path, text, 0o600);
  }
  const { keyType, secretKey: hex, sub, kind, seed } = parse(text, path);
  if (kind !== fresh.kind) throw new Error(`${path} is the key of a ${kind}, not of a ${fresh.kind}`);
  const secretKey = new Uint8Array(Buffer.from(hex, 'hex'));
  return { keyType, secretKey, did: didOf({ keyType, secretKey }), sub, kind, seed };
}

export const keySeed = (runSeed: number, name: string): string => `sejong-sim key\n${runSeed}\n${name}`;

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

type Stored = { keyType: KeyType; secretKey: string; sub: string; kind: Kind; seed: number };

function parse(text: string, path: string): Stored {
  try {
    // Files from before there was a choice name no type.
    const stored = { keyType: 'Ed25519', ...(JSON.parse(text) as object) } as Stored;
    if (
      Object.hasOwn(VERIFIERS, stored.keyType) &&
      /^[0-9a-f]{64}$/.test(stored.secretKey) &&
      typeof stored.sub === 'string' &&
      Number.isInteger(stored.seed)
    )
      return stored;
  } catch {
    // said below, without the text: it may hold half a key
  }
  throw new Error(`${path} is not a key file of firmware-sim; put it back, or remove the folder to begin a new device`);
}
