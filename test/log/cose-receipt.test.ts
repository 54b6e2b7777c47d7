import { createPublicKey, verify as opensslVerify } from 'node:crypto';
import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { attachReceipt, parseCoseReceipt } from '../../edge/log/cose-receipt.ts';
import type { StoredCheckpoint } from '../../edge/log/log.ts';
import { type CborMap, type CborValue, encodeCbor } from '../../edge/wire/cbor.ts';
import { decodeOpenSign1, encodeOpenSign1 } from '../../edge/wire/cose.ts';
import { counterBytes } from '../../edge/wire/envelope.ts';
import { TestDevice } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { ListedLeaves, plainLeaf, plainPath, plainRoot } from './plain.ts';
import { openLog } from './rig.ts';

async function makeLog(size: number) {
  const { log } = await openLog(tempFolder());
  const device = new TestDevice('cose');
  const envelopes = Array.from({ length: size }, () => device.envelope());
  await log.append(
    envelopes.map((envelope, seq) => ({
      envelope,
      device: 1,
      epoch: 1,
      seq,
      receivedMs: 1,
      monoMs: 1,
      clockSynced: true,
    })),
    [],
  );
  const made = (await log.makeCheckpoint(1)) as StoredCheckpoint & { receipt: Uint8Array };
  return { log, envelopes, checkpoint: made, key: parseVerifierKey(log.verifierKey) };
}

/** What another CBOR implementation reads; our own decoder takes no tags. */
const read = (bytes: Uint8Array): unknown =>
  decode(bytes, {
    useMaps: true,
    tags: Object.assign([], { 18: (inner: () => unknown) => inner() }) as never,
  });

describe('a COSE receipt', () => {
  it('is the COSE_Sign1 of RFC 9942 section 5.2.1, read by another decoder and verified by OpenSSL', async () => {
    const { log, envelopes, checkpoint, key } = await makeLog(7);
    const leaves = new ListedLeaves(envelopes.map(plainLeaf));
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key.publicKey]);
    const openssl = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    for (const [index, envelope] of envelopes.entries()) {
      const [protectedHeader, unprotected, payload, signature] = read(log.coseReceipt(index, checkpoint)) as [
        Uint8Array,
        Map<number, Map<number, Uint8Array[]>>,
        null,
        Uint8Array,
      ];
      const kid = Buffer.alloc(4);
      kid.writeUInt32BE(key.id);
      expect(read(protectedHeader)).toEqual(
        new Map<number, unknown>([
          [1, -19],
          [4, Uint8Array.from(kid)],
          [15, new Map([[1, 'test.example/log']])],
          [395, 1],
          [-65_537, 7],
        ]),
      );
      expect([...unprotected.keys()]).toEqual([396]);
      const [proof, ...more] = unprotected.get(396)?.get(-1) ?? [];
      expect(more).toEqual([]);
      const path = plainPath(leaves, index, 7).map(({ hash }) => Uint8Array.from(hash));
      expect(read(proof as Uint8Array)).toEqual([7, index, path]);
      expect(payload).toBeNull();
      const signed = encode(
        ['Signature1', protectedHeader, new Uint8Array(0), Uint8Array.from(plainRoot(leaves, 7))],
        rfc8949EncodeOptions,
      );
      expect(opensslVerify(null, signed, openssl, signature)).toBe(true);
      const parsed = parseCoseReceipt(attachReceipt(envelope, log.coseReceipt(index, checkpoint)));
      expect(parsed).toMatchObject({ index, entry: envelope });
      const { root, ...rest } = parsed.open(key);
      expect(rest).toEqual({ origin: log.origin, size: 7 });
      expect(plainRoot(leaves, 7).equals(root)).toBe(true);
    }
  });

  it('of a tree of one entry has an empty path, and holds', async () => {
    const { log, envelopes, checkpoint, key } = await makeLog(1);
    const parsed = parseCoseReceipt(log.coseReceipt(0, checkpoint), envelopes[0]);
    expect(parsed.path).toEqual([]);
    expect(parsed.open(key).size).toBe(1);
  });

  it('is refused with anything else in it', async () => {
    const { log, envelopes, checkpoint } = await makeLog(7);
    const [entry, other] = [envelopes[3], envelopes[4]] as [Uint8Array, Uint8Array];
    const receipt = log.coseReceipt(3, checkpoint, { counter: counterBytes(1, 3) });
    const open = decodeOpenSign1(receipt);
    const plain = log.coseReceipt(3, checkpoint);
    const proofs = open.unprotected.get(396) as CborMap;
    const proof = (proofs.get(-1) as Uint8Array[])[0] as Uint8Array;
    const [size, index, path] = decode(proof) as [number, number, Uint8Array[]];
    const withProof = (...parts: CborValue[]): Uint8Array =>
      encodeOpenSign1({ ...open, unprotected: new Map([[396, new Map([[-1, [encodeCbor(parts)]]])]]) });
    const withHeader = (unprotected: CborMap): Uint8Array => encodeOpenSign1({ ...open, unprotected });
    const attached = decodeOpenSign1(attachReceipt(entry, plain));
    const attach = (header: CborValue, label = 394): Uint8Array =>
      encodeOpenSign1({ ...attached, unprotected: new Map([[label, header]]) });
    expect(parseCoseReceipt(receipt, entry).index).toBe(3);
    expect(parseCoseReceipt(withProof(size, index, path), entry).index).toBe(3);
    const cases: [string, Uint8Array, Uint8Array?][] = [
      ['no entry', receipt],
      ['the entry of another counter', receipt, other],
      ['no proof', withHeader(new Map()), entry],
      ['two proofs', withHeader(new Map([[396, new Map([[-1, [proof, proof]]])]])), entry],
      ['a consistency proof', withHeader(new Map([[396, new Map([[-2, [proof]]])]])), entry],
      ['another header', withHeader(new Map<number, CborValue>([...open.unprotected, [5, 1]] as never)), entry],
      ['a proof of four parts', withProof(size, index, path, 1), entry],
      ['a size that is no integer', withProof('7', index, path), entry],
      ['a negative index', withProof(size, -1, path), entry],
      ['a short hash', withProof(size, index, [path[0] as Uint8Array, new Uint8Array(31)]), entry],
      [
        'a path of 65 hashes',
        withProof(
          size,
          index,
          Array.from({ length: 65 }, () => new Uint8Array(32)),
        ),
        entry,
      ],
      ['a payload', encodeOpenSign1({ ...open, payload: new Uint8Array(32) })],
      ['two receipts', attach([plain, plain])],
      ['no receipt', attach([])],
      ['a receipt that is no byte string', attach([1])],
      ['receipts under another label', attach([plain], 393)],
      ['a receipt with a payload in an entry', attach([encodeOpenSign1({ ...open, payload: new Uint8Array(32) })])],
      ['a counter beside the entry that has it', attach([receipt])],
      ['an entry alone', entry],
      ['a byte after it', Buffer.concat([receipt, Buffer.of(0)]), entry],
    ];
    for (const [what, bytes, envelope] of cases)
      expect(() => parseCoseReceipt(bytes, envelope), what).toThrow(/^(RECEIPT|CBOR|ENVELOPE)_INVALID/);
  });

  it('of any bytes is refused with a code, and never anything worse', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 50 }), (bytes, entry) => {
        expect(() => parseCoseReceipt(Buffer.concat([Buffer.of(0xd2, 0x84), bytes]), entry)).toThrow(/_INVALID/);
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});
