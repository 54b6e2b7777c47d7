/** The gateway's own keys, and those that it holds for devices that cannot sign. */
import { type KeyObject, randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Config } from './config.ts';
import { EdgeError } from './errors.ts';
import { settleKeys } from './key-rotation.ts';
import { Keystore, type Passphrase, readPrivate, writePrivate } from './keystore.ts';
import { keyPair } from './tokens.ts';
import { didFromPublicKey } from './wire/did.ts';
import { publicKeyOf } from './wire/ed25519.ts';

export type Identity = {
  did: string;
  /** Signs the gateway's own entries and people's tokens. */
  keys: { privateKey: KeyObject; publicKey: KeyObject };
  /** Seed of the key that signs checkpoints. */
  logKey: Uint8Array;
  /** Seed of the key that cosigns checkpoints of other logs; tlog-cosignature wants one of its own. */
  witnessKey: Uint8Array;
  /** secp256k1 key of the account that anchors. */
  anchorKey: Uint8Array;
  /** secp256k1 key of the account that enrols devices on the embedded chain; made when it is asked for first. */
  registrarKey: () => Uint8Array;
  /** secp256k1 key of the account that mints, and holds credits of plants whose owner has no account. */
  creditsKey: () => Uint8Array;
  /** @throws EdgeError KEY_UNREADABLE */
  deviceKey: (did: string) => KeyObject;
  /** Makes and keeps a key; answers its DID. */
  makeDeviceKey: () => string;
  /** A key or password of somebody else's device, as `keys put` keeps it. @throws EdgeError KEY_UNREADABLE */
  secret: (name: string) => Uint8Array;
};

/**
 * @param mayWrite false where only what there is is used: a service beside the gateway has the folder read only
 * @throws EdgeError DATA_UNUSABLE, KEY_UNREADABLE
 */
export function openIdentity(config: Config, mayWrite = true): Identity {
  makeDataFolder(config.dataFolder, mayWrite);
  settleKeys(keysFolder(config));
  const store = Keystore.open(keysFolder(config), readPassphrase(config));
  const seed = store.loadOrCreate('gateway');
  const publicKey = publicKeyOf(seed);
  const nameOf = (did: string): string => `device-${did.slice('did:key:'.length)}`;
  return {
    did: didFromPublicKey(publicKey),
    keys: keyPair(seed, publicKey),
    logKey: store.loadOrCreate('log'),
    witnessKey: store.loadOrCreate('witness'),
    // Any 32 bytes but about one in 2^128 are a secp256k1 key.
    anchorKey: store.loadOrCreate('anchor'),
    registrarKey: () => store.loadOrCreate('registrar'),
    creditsKey: () => store.loadOrCreate('credits'),
    deviceKey: (did) => {
      const secret = store.load(nameOf(did));
      return keyPair(secret, publicKeyOf(secret)).privateKey;
    },
    makeDeviceKey: () => {
      const secret = randomBytes(32);
      const did = didFromPublicKey(publicKeyOf(secret));
      store.save(nameOf(did), secret);
      return did;
    },
    secret: (name) => {
      if (!SECRET_NAME.test(name) || !store.has(secretName(name)))
        throw new EdgeError('KEY_UNREADABLE', `there is no secret ${JSON.stringify(name)}: sejong-edge keys put NAME`);
      return store.load(secretName(name));
    },
  };
}

/** What a person may call a secret. */
export const SECRET_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

export const secretName = (name: string): string => `secret-${name}`;

/** One level at a time: Node's own recursive form never returns below /proc, where it is told ENOENT for ever. */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

function makeDataFolder(folder: string, mayWrite: boolean): void {
  try {
    makeFolders(resolve(folder));
    if (existsSync(join(folder, '.restoring', 'whole')))
      throw new EdgeError('DATA_UNUSABLE', `${folder}: a restore was cut off: start sejong-edge restore again`);
    accessSync(folder, constants.R_OK | (mayWrite ? constants.W_OK : 0) | constants.X_OK);
  } catch (error) {
    if (error instanceof EdgeError) throw error;
    throw new EdgeError('DATA_UNUSABLE', `${folder} (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** From the file in the config, the environment, a systemd credential, or a file beside the keys. */
export function readPassphrase(config: Config): Passphrase {
  const given = (passphrase: string): Passphrase => ({ passphrase, random: false });
  if (config.keys.passphraseFile !== '') return given(readPrivate(config.keys.passphraseFile));
  const { SEJONG_EDGE_PASSPHRASE, CREDENTIALS_DIRECTORY } = process.env;
  if (SEJONG_EDGE_PASSPHRASE) return given(SEJONG_EDGE_PASSPHRASE);
  const credential = CREDENTIALS_DIRECTORY && join(CREDENTIALS_DIRECTORY, 'sejong-edge-passphrase');
  if (credential && existsSync(credential)) return given(readPrivate(credential));
  const folder = join(config.dataFolder, 'keys');
  const path = join(folder, 'passphrase');
  if (existsSync(path)) return given(readPrivate(path));
  // Only where there are no keys yet: a lost passphrase must not be papered over with a new one.
  if (existsSync(join(folder, 'gateway.key')))
    throw new EdgeError('KEY_UNREADABLE', `there are keys in ${folder}, but no passphrase (looked at ${path} as well)`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const made = newPassphrase();
  writePrivate(path, `${made.passphrase}\n`);
  return made;
}

export const newPassphrase = (): Passphrase => ({ passphrase: randomBytes(24).toString('base64url'), random: true });

export const keysFolder = (config: Config): string => join(config.dataFolder, 'keys');
