import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeJsonReceipt,
  encodeTlogProof,
  JSON_FORMAT,
  MAX_RECEIPT,
  parseReceipt,
  type Receipt,
} from '../../edge/log/receipt.ts';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import { TestDevice } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { openLog } from './rig.ts';

const refused = expect.objectContaining({ code: 'RECEIPT_INVALID' });
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const receipt: fc.Arbitrary<Receipt> = fc.record({
  index: fc.oneof(fc.nat(100), fc.maxSafeInteger().map(Math.abs)),
  entry: fc.uint8Array({ maxLength: 300 }),
  path: fc.array(hash, { maxLength: 64 }),
  checkpoint: fc
    .array(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((s) => !/[\n\p{Cs}]/u.test(s)),
      {
        minLength: 1,
        maxLength: 6,
      },
    )
    .map((lines) => `${lines.join('\n')}\n`),
});
const anchor = {
  chainId: 31_337,
  contract: '0x5FbDB2315678afecb367f032d93F642f64180aa3',
  transaction: '0x1234',
  block: 7,
};

/** A real log of real envelopes, and one entry's receipt from it. */
async function realReceipt(entries: number, index: number): Promise<{ receipt: Receipt; key: string }> {
  const { log, store } = await openLog(tempFolder());
  const device = new TestDevice('receipts');
  const envelopes = Array.from({ length: entries }, () => device.envelope());
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
  const { note, size } = await log.makeCheckpoint(1);
  const made = {
    index,
    entry: envelopes[index] as Uint8Array,
    path: log.inclusion(index, size),
    checkpoint: note,
    anchor,
  };
  const key = log.verifierKey;
  await store.close();
  return { receipt: made, key };
}

async function verify(text: string, key: string): Promise<{ failed: string | undefined; steps: Step[] }> {
  const steps: Step[] = [];
  const failed = await verifyReceipt(text, key, undefined, (step) => steps.push(step));
  return { failed, steps };
}

/** What a receipt's text says, or undefined where it is refused. */
function tryParse(text: string): string | undefined {
  try {
    return JSON.stringify(encodeJsonReceipt(parseReceipt(text)));
  } catch (error) {
    expect(error).toEqual(refused);
    return undefined;
  }
}

describe('a receipt', () => {
  it('reads back from JSON as it was written, but for the hint that nobody trusts', () => {
    fc.assert(
      fc.property(receipt, fc.boolean(), fc.constantFrom(undefined, 1, '\t'), (r, hint, indent) => {
        const json = JSON.stringify(encodeJsonReceipt(hint ? { ...r, anchor } : r), null, indent);
        expect(parseReceipt(json)).toEqual(r);
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('reads back from a C2SP tlog-proof as it was written', () => {
    fc.assert(
      fc.property(receipt, (r) => {
        expect(parseReceipt(encodeTlogProof({ ...r, anchor }))).toEqual(r);
      }),
      { numRuns: 300, seed: 2 },
    );
  });

  it('as a tlog-proof has the lines of c2sp.org/tlog-proof@v1', () => {
    const text = encodeTlogProof({
      index: 12,
      entry: Buffer.from('entry'),
      path: [new Uint8Array(32), new Uint8Array(32).fill(255)],
      checkpoint: 'origin\n13\nroot\n\n— origin sig\n',
    });
    expect(text.split('\n')).toEqual([
      'c2sp.org/tlog-proof@v1',
      'extra ZW50cnk=',
      'index 12',
      'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
      '//////////////////////////////////////////8=',
      '',
      'origin',
      '13',
      'root',
      '',
      '— origin sig',
      '',
    ]);
  });

  const plain: Receipt = { index: 1, entry: Buffer.from('entry'), path: [new Uint8Array(32)], checkpoint: 'o\n' };
  const json = encodeJsonReceipt(plain);
  const proof = encodeTlogProof(plain);

  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['a number', '1'],
    ['an array', '[]'],
    ['no format', { ...json, format: undefined }],
    ['another format', { ...json, format: `${JSON_FORMAT}0` }],
    ['no index', { ...json, index: undefined }],
    ['an index as text', { ...json, index: '1' }],
    ['a negative index', { ...json, index: -1 }],
    ['an index with a fraction', { ...json, index: 1.5 }],
    ['an index of 2^53', { ...json, index: 2 ** 53 }],
    ['no entry', { ...json, entry: undefined }],
    ['an entry that is no text', { ...json, entry: [1] }],
    ['an entry in base64url', { ...json, entry: '_-8=' }],
    ['an entry in base64 without padding', { ...json, entry: 'ZW50cnk' }],
    ['an entry in base64 that is not canonical', { ...json, entry: 'ZW50cnl=' }],
    ['an entry with a line break', { ...json, entry: 'ZW50\ncnk=' }],
    ['no path', { ...json, path: undefined }],
    ['a path that is no array', { ...json, path: { length: 0 } }],
    ['a path with a short hash', { ...json, path: ['AAAA'] }],
    ['a path with something else in it', { ...json, path: [null] }],
    ['a path of 65 hashes', { ...json, path: Array.from({ length: 65 }, () => json.path[0]) }],
    ['no checkpoint', { ...json, checkpoint: undefined }],
    ['a checkpoint that is no text', { ...json, checkpoint: ['o'] }],
    ['more than a mebibyte', { ...json, checkpoint: 'o'.repeat(MAX_RECEIPT) }],
  ])('in JSON is refused with %s', (_, bad) => {
    const text = typeof bad === 'string' ? bad : JSON.stringify(bad);
    expect(() => parseReceipt(text)).toThrow(refused);
  });

  it.each([
    ['another version', proof.replace('@v1', '@v10')],
    ['something after the version', proof.replace('@v1', '@v1 ')],
    ['no blank line', proof.replace('\n\n', '\n')],
    ['no entry', proof.replace(/extra .*\n/, '')],
    ['an entry that is not canonical', proof.replace('ZW50cnk=', 'ZW50cnl=')],
    ['no index', proof.replace(/index .*\n/, '')],
    ['two indexes', proof.replace('index 1', 'index 1\nindex 1')],
    ['index and entry exchanged', proof.replace(/(extra .*)\n(index .*)/, '$2\n$1')],
    ['an index with a leading zero', proof.replace('index 1', 'index 01')],
    ['a negative index', proof.replace('index 1', 'index -1')],
    ['an index of 2^53', proof.replace('index 1', 'index 9007199254740992')],
    ['a short hash', proof.replace('AAAA', '')],
    ['a hash that is not canonical', proof.replace('AA=', 'AB=')],
    ['a space after a hash', proof.replace('AA=', 'AA= ')],
    ['carriage returns', proof.replace(/\n/g, '\r\n')],
    ['a path of 65 hashes', encodeTlogProof({ ...plain, path: Array.from({ length: 65 }, () => new Uint8Array(32)) })],
    ['something before it', ` ${proof}`],
  ])('as a tlog-proof is refused with %s', (_, bad) => {
    expect(() => parseReceipt(bad)).toThrow(refused);
  });
});

describe('a receipt of a real log', () => {
  it('verifies in both formats, at every index and size, and says each step', async () => {
    for (const [entries, index] of [
      [1, 0],
      [2, 1],
      [7, 3],
      [7, 6],
      [300, 255],
      [300, 299],
    ] as const) {
      const { receipt, key } = await realReceipt(entries, index);
      for (const text of [JSON.stringify(encodeJsonReceipt(receipt)), encodeTlogProof(receipt)]) {
        const { failed, steps } = await verify(text, key);
        expect(failed).toBeUndefined();
        expect(steps.map(({ name }) => name)).toEqual([
          'receipt format',
          'canonical bytes',
          'device signature',
          'checkpoint signature',
          'inclusion',
        ]);
      }
    }
  });

  it('names the step that fails: another index, another entry, another log, a path that is not its own', async () => {
    const { receipt, key } = await realReceipt(7, 3);
    const failing = async (over: Partial<Receipt>, by = key) =>
      (await verify(JSON.stringify(encodeJsonReceipt({ ...receipt, ...over })), by)).failed;
    const device = new TestDevice('receipts');
    expect(await failing({ index: 2 })).toBe('inclusion');
    expect(await failing({ path: receipt.path.slice(1) })).toBe('inclusion');
    expect(await failing({ path: receipt.path.toReversed() })).toBe('inclusion');
    expect(await failing({ entry: device.envelope({ seq: 4 }) })).toBe('inclusion');
    expect(await failing({ entry: device.envelope({ seq: 3, secretKey: new Uint8Array(32).fill(1) }) })).toBe(
      'device signature',
    );
    expect(await failing({ entry: receipt.entry.subarray(1) })).toBe('canonical bytes');
    const other = await openLog(tempFolder(), 'another.example/log');
    expect(await failing({}, other.log.verifierKey)).toBe('checkpoint signature');
    await other.store.close();
  });

  it('with any one character changed is refused, but in the hint and in white space', async () => {
    const { receipt, key } = await realReceipt(3, 1);
    const json = JSON.stringify(encodeJsonReceipt(receipt), null, 1);
    const hint = json.indexOf('"anchor"');
    const isFree = (text: string, at: number, other: string): boolean =>
      text === json && (at >= hint || (/\s/.test(text[at] as string) && /[ \t\n\r]/.test(other)));
    const others = ['"', '\\', ',', ' ', '\n', '=', '\u0000', '1'];
    // What is verified is what was parsed, so the same from the other format need not be verified again.
    const verified = new Set<string>();
    let inTheFree = 0;
    for (const text of [json, encodeTlogProof(receipt)]) {
      expect((await verify(text, key)).failed).toBeUndefined();
      for (let at = 0; at < text.length; at++) {
        const c = text[at] as string;
        // The neighbour in the alphabet finds what lenient base64 lets pass; the other one takes turns.
        for (const other of [String.fromCharCode(c.charCodeAt(0) ^ 1), others[at % others.length] as string]) {
          if (other === c) continue;
          const changed = text.slice(0, at) + other + text.slice(at + 1);
          const parsed = tryParse(changed);
          if (parsed === undefined || verified.has(parsed)) continue;
          if ((await verify(changed, key)).failed !== undefined) verified.add(parsed);
          else {
            const where = `${at}: ${JSON.stringify(text.slice(at - 20, at + 20))} with ${JSON.stringify(other)}`;
            expect(isFree(text, at, other), where).toBe(true);
            inTheFree++;
          }
        }
      }
    }
    expect(verified.size).toBeGreaterThan(500);
    expect(inTheFree).toBeGreaterThan(0);
  });
});
