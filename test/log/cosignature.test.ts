import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeVerifierKey,
  openCheckpoint,
  parseSignatureLines,
  parseVerifierKey,
  splitNote,
} from '../../edge/log/checkpoint.ts';
import { cosign, encodeAddCheckpoint, findCosignature, parseAddCheckpoint } from '../../edge/log/cosignature.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { checkCosignature } from '../support/whole-truth.ts';
import { PlainLog } from '../witness/rig.ts';

const secret = new Uint8Array(32).fill(4);
const publicKey = publicKeyOf(secret);
const sign = (message: Uint8Array): Uint8Array => signEd25519(message, secret);
const name = 'witness.example/w1';
const vkey = encodeVerifierKey(name, publicKey, 'witness');
const key = parseVerifierKey(vkey, 'witness');
const log = new PlainLog('log.example/1');
const body = log.body(7);
const line = cosign(body, 1_679_315_147, name, publicKey, sign);

describe('a cosignature', () => {
  it('is what tlog-cosignature says, byte for byte, for any checkpoint and any time', () => {
    fc.assert(
      fc.property(fc.nat(500), fc.maxSafeInteger().map(Math.abs), fc.boolean(), (size, time, extended) => {
        const text = log.body(size, extended ? 'an extension\nand another\n' : '');
        const one = cosign(text, time, name, publicKey, sign);
        expect(checkCosignature(one, text, vkey)).toBe(time);
        expect(findCosignature(text, parseSignatureLines(one), key)).toEqual({ time, line: one });
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it('has a key of its own type: the same bytes as a key of a log are another key', () => {
    const asLog = encodeVerifierKey(name, publicKey);
    expect(asLog.split('+')[1]).not.toBe(vkey.split('+')[1]);
    expect(() => parseVerifierKey(asLog, 'witness')).toThrow(/not an Ed25519 key of a witness \(type 0x04\)/);
    expect(() => parseVerifierKey(vkey)).toThrow(/not an Ed25519 key of a log \(type 0x01\)/);
  });

  it('stands beside the signature of the log, which opens as before', () => {
    const note = log.note(7) + line;
    expect(openCheckpoint(note, parseVerifierKey(log.key))).toMatchObject({ origin: log.origin, size: 7 });
    expect(findCosignature(body, splitNote(note).signatures, key)?.time).toBe(1_679_315_147);
    expect(findCosignature(body, splitNote(log.note(7)).signatures, key)).toBeUndefined();
  });

  it('over another text, at another time, or cut short, spoils the note', () => {
    const bytes = Buffer.from(line.split(' ')[2] as string, 'base64');
    const withBytes = (b: Buffer): string => `— ${name} ${b.toString('base64')}\n`;
    const bad = [
      cosign(log.body(8), 1_679_315_147, name, publicKey, sign),
      withBytes(Buffer.concat([bytes.subarray(0, 11), Buffer.of((bytes[11] as number) ^ 1), bytes.subarray(12)])),
      withBytes(Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(8, 255), bytes.subarray(12)])),
      withBytes(bytes.subarray(0, -1)),
      withBytes(Buffer.concat([bytes, Buffer.of(0)])),
      withBytes(bytes.subarray(0, 5)),
    ];
    for (const wrong of bad)
      for (const lines of [wrong, line + wrong, wrong + line])
        expect(() => findCosignature(body, parseSignatureLines(lines), key), lines).toThrow(/does not verify/);
    const stranger = new Uint8Array(32).fill(9);
    const other = cosign(body, 1, name, publicKeyOf(stranger), (m) => signEd25519(m, stranger));
    expect(findCosignature(body, parseSignatureLines(other + line), key)?.line).toBe(line);
  });
});

describe('the body of add-checkpoint', () => {
  it('round-trips for any size and proof, and is what the specification shows', () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(fc.nat(), fc.array(hash, { maxLength: 63 }), (old, proof) => {
        const request = { old, proof, note: log.note(5) };
        expect(parseAddCheckpoint(Buffer.from(encodeAddCheckpoint(request)))).toEqual(request);
      }),
      { numRuns: 50, seed: 2 },
    );
    const proof = log.proof(3, 7).map((h) => Buffer.from(h, 'base64'));
    expect(encodeAddCheckpoint({ old: 3, proof, note: log.note(7) })).toBe(log.request(3, 7));
  });

  const refused = expect.objectContaining({ code: 'REQUEST_INVALID' });
  const hash = 'A'.repeat(43);
  it.each([
    ['nothing', ''],
    ['no empty line', 'old 0\n'],
    ['no old line', `\n${log.note(5)}`],
    ['an old line in capitals', log.request(0, 5).replace('old', 'Old')],
    ['two spaces', log.request(0, 5).replace('old ', 'old  ')],
    ['a leading zero', log.request(0, 5).replace('old 0', 'old 00')],
    ['a negative size', log.request(0, 5).replace('old 0', 'old -1')],
    ['a size beyond 2^53', log.request(0, 5).replace('old 0', 'old 9007199254740992')],
    ['a hash that is cut short', `old 1\n${hash}\n\n${log.note(5)}`],
    ['a hash of 33 bytes', `old 1\n${hash}A\n\n${log.note(5)}`],
    ['a hash in base64 that is not canonical', `old 1\n${'A'.repeat(42)}B=\n\n${log.note(5)}`],
    ['64 hashes', `old 1\n${`${hash}=\n`.repeat(64)}\n${log.note(5)}`],
    ['carriage returns', log.request(0, 5).replaceAll('\n', '\r\n')],
    ['a tab', log.request(0, 5).replace('5\n', '5\t\n')],
    ['a NUL', log.request(0, 5).replace('5\n', '5\0\n')],
    ['a byte order mark', `\ufeff${log.request(0, 5)}`],
    ['more than the longest note', log.request(0, 5) + 'A'.repeat(140_000)],
  ])('refused: %s', (_, text) => {
    expect(() => parseAddCheckpoint(Buffer.from(text))).toThrow(refused);
  });

  it('refused: bytes that are no UTF-8', () => {
    expect(() => parseAddCheckpoint(Buffer.concat([Buffer.from(log.request(0, 5)), Buffer.of(0xff)]))).toThrow(refused);
  });
});
