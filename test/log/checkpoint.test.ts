import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  encodeVerifierKey,
  isKeyName,
  openCheckpoint,
  parseCheckpointText,
  parseVerifierKey,
  signCheckpoint,
} from '../../edge/log/checkpoint.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { sha256 } from './plain.ts';

const origin = 'edge.example/sejong/1';
const secret = new Uint8Array(32).fill(9);
const publicKey = publicKeyOf(secret);
const sign = (message: Uint8Array): Uint8Array => signEd25519(message, secret);
const key = parseVerifierKey(encodeVerifierKey(origin, publicKey));
const checkpoint: Checkpoint = { origin, size: 70_000, root: new Uint8Array(sha256(Buffer.from('root'))) };
const note = signCheckpoint(checkpoint, publicKey, sign);

const refused = expect.objectContaining({ code: 'RECEIPT_INVALID' });
const expectRefused = (text: string, why?: RegExp): void => {
  let error: unknown;
  try {
    openCheckpoint(text, key);
  } catch (thrown) {
    error = thrown;
  }
  expect(error, JSON.stringify(text.slice(-200))).toEqual(refused);
  if (why) expect((error as Error).message).toMatch(why);
};

/** A signature line by any key over any text, as C2SP signed-note has it. */
function signatureLine(text: string, name: string, seed: Uint8Array, keyName = name): string {
  const id = sha256(Buffer.from(`${keyName}\n`), Buffer.of(1), publicKeyOf(seed)).subarray(0, 4);
  return `— ${name} ${Buffer.concat([id, signEd25519(Buffer.from(text), seed)]).toString('base64')}\n`;
}
const signed = (text: string, ...lines: string[]): string => `${text}\n${lines.join('')}`;
const text = note.slice(0, note.indexOf('\n\n') + 1);
const ours = signatureLine(text, origin, secret);
const stranger = new Uint8Array(32).fill(3);

/** The test key of Go's note package (golang.org/x/mod/sumdb/note), and the note that it signed there. */
const GO_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const GO_NOTE =
  'If you think cryptography is the answer to your problem,\n' +
  "then you don't know what your problem is.\n" +
  '\n' +
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';

describe('verifier keys', () => {
  it("Go's own test key parses, and is written back as it was", () => {
    const go = parseVerifierKey(GO_KEY);
    expect(go).toMatchObject({ name: 'PeterNeumann', id: 0xc74f20a3 });
    expect(encodeVerifierKey(go.name, go.publicKey)).toBe(GO_KEY);
  });

  it('have the id that C2SP signed-note says: SHA-256(name, newline, 0x01, key), four bytes', () => {
    expect(key.id).toBe(sha256(Buffer.from(`${origin}\n`), Buffer.of(1), publicKey).readUInt32BE());
    expect(Buffer.from(key.publicKey).equals(publicKey)).toBe(true);
  });

  it('round-trip for any usable name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter(isKeyName), (name) => {
        expect(parseVerifierKey(encodeVerifierKey(name, publicKey))).toMatchObject({ name });
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  it('with an empty name, a space, a plus or a control character in it are not usable', () => {
    for (const name of [
      '',
      ' ',
      'a b',
      'a+b',
      'a\nb',
      'a\tb',
      'a\u00a0b',
      'a\u3000b',
      'a\u0000',
      'a\u007f',
      'x'.repeat(256),
    ])
      expect(isKeyName(name), JSON.stringify(name)).toBe(false);
    for (const name of ['a', 'edge.example/sejong/1', '세종', 'x'.repeat(255)])
      expect(isKeyName(name), name).toBe(true);
  });

  it.each([
    ['nothing', ''],
    ['no key', 'PeterNeumann+c74f20a3'],
    ['no name', GO_KEY.slice('PeterNeumann'.length)],
    ['another name', GO_KEY.replace('Peter', 'Patty')],
    ['another id', GO_KEY.replace('c74f20a3', 'c74f20a4')],
    ['an id in capitals', GO_KEY.replace('c74f20a3', 'C74F20A3')],
    ['a short id', GO_KEY.replace('c74f20a3', 'c74f20a')],
    ['another key', GO_KEY.replace('ARpc', 'ARpd')],
    ['another type', GO_KEY.replace('+ARpc', '+BRpc')],
    ['a key cut short', GO_KEY.slice(0, -4)],
    ['a key with bytes after it', `${GO_KEY}AAAA`],
    ['padding that is not needed', `${GO_KEY}=`],
    ['base64url', GO_KEY.replace('/', '_')],
    ['something in between', GO_KEY.replace('+A', '+ A')],
    ['a key of small order', encodeVerifierKey('a', new Uint8Array(32).fill(0).with(0, 1))],
    ['a key that is not on the curve', encodeVerifierKey('a', new Uint8Array(32).fill(0).with(0, 2))],
  ])('refused: %s', (_, bad) => {
    expect(() => parseVerifierKey(bad)).toThrow(refused);
  });
});

describe('a signed checkpoint', () => {
  it('is three lines, a blank one, and a signature line by the log', () => {
    expect(note).toBe(`${origin}\n70000\n${Buffer.from(checkpoint.root).toString('base64')}\n\n${ours}`);
  });

  it('opens to what was signed', () => {
    const size = fc.oneof(fc.nat(1_000), fc.maxSafeInteger().map(Math.abs));
    fc.assert(
      fc.property(size, fc.uint8Array({ minLength: 32, maxLength: 32 }), (n, root) => {
        const c = { origin, size: n, root };
        expect(openCheckpoint(signCheckpoint(c, publicKey, sign), key)).toEqual(c);
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  it("Go's test note gets past its signature, and is refused only for not being a checkpoint", () => {
    const go = parseVerifierKey(GO_KEY);
    expect(() => openCheckpoint(GO_NOTE, go)).toThrow(/not origin, size and root on three lines/);
    expect(() => openCheckpoint(GO_NOTE.replace('answer', 'Answer'), go)).toThrow(
      /the signature of PeterNeumann does not verify/,
    );
  });

  it('signed by others too, known or not, of whatever type and length, opens by the one that is known', () => {
    const others = [
      signatureLine(text, 'witness.example', stranger),
      signatureLine('another text', 'witness.example', stranger),
      // Our name under another key, and our id under another name: neither is ours.
      signatureLine(text, origin, stranger),
      signatureLine(text, 'witness.example', secret, origin),
      `— pq.example ${Buffer.alloc(3_000, 5).toString('base64')}\n`,
    ];
    for (const other of others) {
      expectRefused(signed(text, other), /no signature by/);
      expect(openCheckpoint(signed(text, other, ours), key)).toEqual(checkpoint);
      expect(openCheckpoint(signed(text, ours, other), key)).toEqual(checkpoint);
    }
    expect(openCheckpoint(signed(text, ...others, ours), key)).toEqual(checkpoint);
    expect(openCheckpoint(signed(text, ours, ours), key)).toEqual(checkpoint);
  });

  it('with a wrong signature by the known key is refused, whatever stands beside it', () => {
    const wrong = signatureLine('another text', origin, secret);
    for (const lines of [[wrong], [wrong, ours], [ours, wrong]])
      expectRefused(signed(text, ...lines), /does not verify/);
  });

  it.each([
    ['nothing', ''],
    ['no signature', text],
    ['no signature after the blank line', `${text}\n`],
    ['no blank line', note.replace('\n\n', '\n')],
    ['no end of the last line', note.slice(0, -1)],
    ['an empty line at the end', `${note}\n`],
    ['an empty line between signatures', signed(text, ours, '\n', ours)],
    ['text after the signatures', `${note}more\n`],
    ['a hyphen for the dash', note.replace('—', '-')],
    ['no space after the dash', note.replace('— ', '—')],
    ['two spaces after the dash', note.replace('— ', '—  ')],
    ['a line with no signature', signed(text, `— ${origin}\n`, ours)],
    ['a signature with nothing but an id', signed(text, '— x AAAAAA==\n', ours)],
    ['carriage returns', note.replace(/\n/g, '\r\n')],
    ['more signatures than a checkpoint has', signed(text, ours.repeat(101))],
    ['longer than any checkpoint', signed(text, `— x ${'A'.repeat(131_072)}\n`, ours)],
  ])('refused: %s', (_, bad) => {
    expectRefused(bad);
  });

  it('has one spelling: a signature in base64 that is not canonical is refused, by whomever it is', () => {
    // 68 bytes are 91 characters and one of padding; the last character has two bits that say nothing.
    expect(ours).toMatch(/[AEIMQUYcgkosw048]=\n$/);
    const last = ours.at(-3) as string;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    const next = alphabet[alphabet.indexOf(last) + 1] as string;
    expectRefused(note.replace(`${last}=\n`, `${next}=\n`));
    expectRefused(note.replace('=\n', '\n'));
    expectRefused(note.replace(/=\n$/, '==\n'));
    expectRefused(signed(text, '— x AAAAAAAB=\n', ours));
    expectRefused(signed(text, '— x AAAAAAAA=\n', ours));
    expectRefused(signed(text, '— x AAAAAAB=\n', ours));
  });

  it('is refused with any one character changed, left out or doubled', () => {
    for (let at = 0; at < note.length; at++) {
      const [before, c, after] = [note.slice(0, at), note[at] as string, note.slice(at + 1)];
      for (const other of [String.fromCharCode(c.charCodeAt(0) ^ 1), '\n', '='])
        if (other !== c) expectRefused(before + other + after);
      expectRefused(before + after);
      expectRefused(before + c + c + after);
    }
  });

  it('of another log is never taken for this one', () => {
    const other = { ...checkpoint, origin: 'edge.example/sejong/2' };
    expectRefused(signCheckpoint(other, publicKey, sign), /no signature by edge\.example\/sejong\/1/);
    expectRefused(
      signCheckpoint(checkpoint, publicKeyOf(stranger), (m) => signEd25519(m, stranger)),
      /no signature by/,
    );
    // A witness signs checkpoints of other logs with its own name: what comes out names the log, not the signer.
    const foreign = `${other.origin}\n1\n${'A'.repeat(43)}=\n`;
    expect(openCheckpoint(signed(foreign, ours.slice(0, 0), signatureLine(foreign, origin, secret)), key).origin).toBe(
      other.origin,
    );
  });
});

describe('the text of a checkpoint', () => {
  const root = `${'A'.repeat(43)}=`;

  it('of an empty log and of the largest one is taken', () => {
    expect(parseCheckpointText(`o\n0\n${root}\n`)).toEqual({ origin: 'o', size: 0, root: new Uint8Array(32) });
    expect(parseCheckpointText(`o\n${Number.MAX_SAFE_INTEGER}\n${root}\n`).size).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each([
    ['extension lines', `o\n1\n${root}\nextension\n`],
    ['an empty line at the end', `o\n1\n${root}\n\n`],
    ['no end of the last line', `o\n1\n${root}`],
    ['no origin', `\n1\n${root}\n`],
    ['no root', 'o\n1\n'],
    ['a size with a leading zero', `o\n01\n${root}\n`],
    ['a size with a sign', `o\n+1\n${root}\n`],
    ['a negative size', `o\n-1\n${root}\n`],
    ['a size in hex', `o\n0x1\n${root}\n`],
    ['a size with a fraction', `o\n1.0\n${root}\n`],
    ['a size with an exponent', `o\n1e3\n${root}\n`],
    ['a size in other digits', `o\n\u0661\n${root}\n`],
    ['a size of 2^53', `o\n9007199254740992\n${root}\n`],
    ['a size that rounds to one that is safe', `o\n9007199254740990.6\n${root}\n`],
    ['a root of 31 bytes', `o\n1\n${'A'.repeat(42)}==\n`],
    ['a root of 33 bytes', `o\n1\n${'A'.repeat(44)}\n`],
    ['a root in base64 that is not canonical', `o\n1\n${'A'.repeat(42)}B=\n`],
    ['a root in base64url', `o\n1\n${'A'.repeat(42)}_=\n`],
    ['carriage returns', `o\r\n1\r\n${root}\r\n`],
  ])('refused: %s', (_, bad) => {
    expect(() => parseCheckpointText(bad)).toThrow(refused);
    expectRefused(signed(bad, signatureLine(bad, origin, secret)));
  });
});
