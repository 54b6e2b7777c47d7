/** The keys of the corpus: known to everybody, so that a mutant can be signed again. */
import { createHash, type KeyObject, sign } from 'node:crypto';
import { encodeVerifierKey } from '../../edge/log/checkpoint.ts';
import { keyPair } from '../../edge/tokens.ts';
import { didFromPublicKey } from '../../edge/wire/did.ts';
import { publicKeyOf } from '../../edge/wire/ed25519.ts';
import { p256PublicKeyOf, signP256 } from '../../edge/wire/p256.ts';
import { fastSigner } from '../../firmware-sim/signer.ts';

const secretOf = (name: string): Uint8Array => new Uint8Array(createHash('sha256').update(`fuzz ${name}`).digest());

export type Signer = {
  did: string;
  publicKey: Uint8Array;
  keys: { privateKey: KeyObject; publicKey: KeyObject };
  sign: (message: Uint8Array) => Uint8Array;
};

export function signerOf(name: string): Signer {
  const secret = secretOf(name);
  const publicKey = publicKeyOf(secret);
  const keys = keyPair(secret, publicKey);
  const did = didFromPublicKey(publicKey);
  return { did, publicKey, keys, sign: (message) => new Uint8Array(sign(null, message, keys.privateKey)) };
}

export const DEVICE = signerOf('device');
const p256 = secretOf('p256 device');
const p256Public = p256PublicKeyOf(p256);
export const P256_DEVICE = {
  did: didFromPublicKey(p256Public, 'P-256'),
  publicKey: p256Public,
  sign: fastSigner({ keyType: 'P-256', secretKey: p256 }),
  /** The same at each run. */
  signAgain: (message: Uint8Array): Uint8Array => signP256(message, p256),
};
export const GATEWAY = signerOf('gateway');
export const LOG = signerOf('log');
export const ORIGIN = 'fuzz.example/log';
export const VERIFIER_KEY = encodeVerifierKey(ORIGIN, LOG.publicKey);
