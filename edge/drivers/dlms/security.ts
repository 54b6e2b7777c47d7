/**
 * Security suite 0 of DLMS/COSEM: AES-128-GCM with tags of 12 bytes (Green Book clause 9.2.7.2; NIST SP 800-38D). A
 * protected APDU is
 *
 *   security control 1 | invocation counter 4 | text, or what it enciphers to | tag 12
 *
 * The nonce is the sender's system title and counter, so a counter is never used twice with one key: ours come from
 * disk ({@link Setup.nextNumber}), the meter's must rise, and the last one is kept over restarts ({@link Counters}).
 */
import { createCipheriv, createDecipheriv, createHash, timingSafeEqual } from 'node:crypto';
import { SerialFault } from '../fault.ts';

const TAG_BYTES = 12;
/** Bits of the security control byte: the suite is in the lowest four. */
const AUTHENTICATED = 0x10;
const ENCRYPTED = 0x20;
const COMPRESSED = 0x80;
/** 0: global unicast, 1: global broadcast. */
const BROADCAST = 0x40;
const BOTH = AUTHENTICATED | ENCRYPTED;

/** 16 bytes each: global unicast encryption key (GUEK) and authentication key (GAK). */
export type Keys = { encryption: Uint8Array; authentication: Uint8Array };

const nonceOf = (systemTitle: Uint8Array, counter: number): Uint8Array => {
  const nonce = new Uint8Array(12);
  nonce.set(systemTitle);
  new DataView(nonce.buffer).setUint32(8, counter);
  return nonce;
};

/** Encrypts and authenticates. @param systemTitle of the sender, 8 bytes */
export function protect(keys: Keys, systemTitle: Uint8Array, counter: number, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-gcm', keys.encryption, nonceOf(systemTitle, counter), {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(Uint8Array.of(BOTH, ...keys.authentication));
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  const head = new Uint8Array(5);
  head[0] = BOTH;
  new DataView(head.buffer).setUint32(1, counter);
  return Buffer.concat([head, text, cipher.getAuthTag()]);
}

export type Opened = { plain: Uint8Array; counter: number };

/**
 * What is only encrypted is not taken: without a tag anyone on the line could change it.
 * @param systemTitle of the sender
 * @throws SerialFault mismatch: not suite 0, not authenticated, wrong keys, or changed on the way
 */
export function open(keys: Keys, systemTitle: Uint8Array, bytes: Uint8Array): Opened {
  if (bytes.length < 5 + TAG_BYTES) throw new SerialFault('mismatch', 'a protected message is too short');
  const control = bytes[0] as number;
  if ((control & 0x0f) !== 0)
    throw new SerialFault('mismatch', `the meter speaks security suite ${control & 0x0f}; only suite 0 is known here`);
  if (control & COMPRESSED) throw new SerialFault('mismatch', 'the meter compresses what it sends');
  if (control & BROADCAST) throw new SerialFault('mismatch', 'the meter uses a broadcast key');
  if (!(control & AUTHENTICATED)) throw new SerialFault('mismatch', 'the meter does not authenticate what it sends');
  const counter = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  const text = bytes.subarray(5, -TAG_BYTES);
  const decipher = createDecipheriv('aes-128-gcm', keys.encryption, nonceOf(systemTitle, counter), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  const encrypted = (control & ENCRYPTED) !== 0;
  // Authenticated only: the text itself is what is authenticated, and nothing is enciphered.
  decipher.setAAD(Buffer.concat([Uint8Array.of(control), keys.authentication, encrypted ? new Uint8Array() : text]));
  try {
    const plain = Buffer.concat([encrypted ? decipher.update(text) : text, decipher.final()]);
    return { plain: Uint8Array.from(plain), counter };
  } catch {
    throw new SerialFault(
      'mismatch',
      'a message does not open: the encryption or the authentication key is not the meter’s own, or it was changed on the way',
    );
  }
}

/** What HLS with GMAC proves (Green Book clause 9.2.7.4, mechanism 5): that its sender has both keys. 17 bytes. */
export function gmac(keys: Keys, systemTitle: Uint8Array, counter: number, challenge: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-gcm', keys.encryption, nonceOf(systemTitle, counter), {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(Buffer.concat([Uint8Array.of(AUTHENTICATED), keys.authentication, challenge]));
  cipher.final();
  const proof = new Uint8Array(5 + TAG_BYTES);
  proof[0] = AUTHENTICATED;
  new DataView(proof.buffer).setUint32(1, counter);
  proof.set(cipher.getAuthTag(), 5);
  return proof;
}

/** Whether the other side has proved it. Its counter is its own matter: our challenge was never given before. */
export function proves(keys: Keys, systemTitle: Uint8Array, challenge: Uint8Array, proof: Uint8Array): boolean {
  if (proof.length !== 5 + TAG_BYTES || proof[0] !== AUTHENTICATED) return false;
  const counter = new DataView(proof.buffer, proof.byteOffset).getUint32(1);
  return timingSafeEqual(gmac(keys, systemTitle, counter, challenge), proof);
}

/** 16 bytes that nobody foresees who has not the key, and that never come again. */
export const challengeOf = (keys: Keys, systemTitle: Uint8Array, number: number): Uint8Array =>
  createHash('sha256')
    .update(keys.encryption)
    .update(keys.authentication)
    .update(systemTitle)
    .update(`${number}`)
    .digest()
    .subarray(0, 16);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The highest invocation counter that each sender has used with a key. A message with one not above it is a replay. */
export class Counters {
  readonly #last = new Map<string, number>();
  readonly #suffix: string;

  readonly #mark: (name: string) => number | undefined;

  /** @param mark what was kept with the last readings, by name: `ic-<system title>-<key>` */
  constructor(keys: Keys, mark: (name: string) => number | undefined) {
    this.#mark = mark;
    // A new key starts a new count. What is told of the key is not enough to guess it by.
    this.#suffix = createHash('sha256').update(keys.encryption).digest('hex').slice(0, 8);
  }

  /** After it was opened, never before: a forged counter must not shut the meter out. @throws SerialFault mismatch */
  check(systemTitle: Uint8Array, counter: number): void {
    const name = `ic-${hex(systemTitle)}-${this.#suffix}`;
    const last = Math.max(this.#last.get(name) ?? -1, this.#mark(name) ?? -1);
    if (counter <= last)
      throw new SerialFault(
        'mismatch',
        `a replay: the invocation counter of ${hex(systemTitle)} is ${counter}, after ${last} was seen`,
      );
    this.#last.set(name, counter);
  }

  marks(): Record<string, number> {
    return Object.fromEntries(this.#last);
  }
}

/** A key of 16 bytes, as they are or in hex. @throws RangeError */
export function keyOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 16) return bytes;
  const text = Buffer.from(bytes).toString('latin1').trim();
  if (/^[0-9a-f]{32}$/i.test(text)) return Buffer.from(text, 'hex');
  throw new RangeError('is no AES-128 key: 16 bytes, or 32 hex digits');
}
