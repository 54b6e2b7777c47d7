/** One tree, four receipts: what one of them shows they all show, and none of them can be changed in a bit. */
import { RFC9162 } from '@transmute/rfc9162';
import fc from 'fast-check';
import { type AbiFunction, type Hex, toFunctionSignature as toSignature } from 'viem';
import { describe, expect, it } from 'vitest';
import type { CallView } from '../../edge/api/views.ts';
import { verifierAbi } from '../../edge/chain/anchors-abi.ts';
import { anchorsAbi } from '../../edge/chain/contract.ts';
import { consistencyPath, inclusionPath, leafHash, rootAt } from '../../edge/log/merkle.ts';
import { parseJsonOpening } from '../../edge/log/receipt.ts';
import { extend, nodeFromTiles } from '../../edge/log/tile.ts';
import { type Step, verifyReceipt } from '../../edge/verify.ts';
import type { TestGateway } from '../support/gateway.ts';
import { allAnchored, City, Meter } from './rig.ts';

const FORMATS = ['json', 'tlog-proof', 'cose', 'calldata'] as const;
const STEPS = [
  'receipt format',
  'canonical bytes',
  'seal',
  'device signature',
  'checkpoint signature',
  'inclusion',
  'anchored root',
];

const openingOf = async (gateway: TestGateway, index: number) =>
  parseJsonOpening((await gateway.api(`/entries/${index}/opening`)).text);

async function receiptOf(gateway: TestGateway, index: number, format: string): Promise<Uint8Array> {
  const answer = await fetch(`${gateway.info.http}/entries/${index}/receipt?format=${format}`, {
    headers: { authorization: `Bearer ${await gateway.token('viewer')}` },
  });
  if (!answer.ok) throw new Error(await answer.text());
  return new Uint8Array(await answer.arrayBuffer());
}

function random(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (Math.imul(a, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((a / 2 ** 32) * below);
  };
}

const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const out = Uint8Array.from(bytes);
  out[bit >> 3] = (out[bit >> 3] as number) ^ (1 << (bit & 7));
  return out;
};

it('what an auditor asks the contract is what the contract has', () => {
  const held = anchorsAbi.map((item) => toSignature(item as AbiFunction));
  for (const item of verifierAbi) expect(held).toContain(toSignature(item as unknown as AbiFunction));
});

describe('one entry in all four formats', () => {
  it('verifies, under a root that the chain holds; with any bit flipped it fails in each', async () => {
    const city = await City.build();
    const gateway = await city.gateway();
    const meter = await Meter.at(gateway);
    await meter.send(6);
    await allAnchored(gateway);
    await meter.send(9);
    await allAnchored(gateway);
    const key = gateway.parts.log.verifierKey;
    const chain = { rpc: city.chain.rpc, contract: city.contract.address };
    const next = random(20_261_124);

    // Some entries, in each format, with the chain asked: all steps, and the same claim.
    for (const index of [0, 15, next(16), next(16), next(16)]) {
      const claims = new Set<string>();
      for (const format of FORMATS) {
        const steps: Step[] = [];
        const receipt = await receiptOf(gateway, index, format);
        const openings = index === 0 ? [] : [await openingOf(gateway, index)];
        const failed = await verifyReceipt(receipt, key, chain, (s) => steps.push(s), { openings });
        expect(failed, `${index} ${format}: ${steps.at(-1)?.detail}`).toBeUndefined();
        expect(steps.map((s) => s.name)).toEqual(index === 0 ? STEPS.filter((s) => s !== 'seal') : STEPS);
        claims.add(
          steps
            .slice(0, -1)
            .map((s) => s.detail)
            .join('\n'),
        );
      }
      expect(claims.size, 'they say the same').toBe(1);
    }

    // A random entry: a sample of its bits in each format (in JSON all but the hint, which nobody trusts).
    const index = next(gateway.parts.log.size);
    for (const format of FORMATS) {
      const receipt = await receiptOf(gateway, index, format);
      const hint = format === 'json' ? Buffer.from(receipt).indexOf(',"anchor":') : receipt.length;
      for (let i = 0; i < 100; i++) {
        const bit = next(hint * 8);
        // Where the calldata is to be sent is nothing that a log signs: that is held against the chain.
        const where = format === 'calldata' ? chain : undefined;
        const failed = await verifyReceipt(flip(receipt, bit), key, where, () => undefined);
        expect(failed, `${format}, bit ${bit} of entry ${index}`).toBeDefined();
      }
    }

    // And on the chain, with nothing of ours between: what `cast call` would send.
    const call = JSON.parse(Buffer.from(await receiptOf(gateway, index, 'calldata')).toString()) as CallView;
    const ask = (data: Uint8Array): Promise<string | undefined> =>
      city.chain.client.call({ to: call.to as Hex, data: `0x${Buffer.from(data).toString('hex')}` }).then(
        (answer) => answer.data,
        () => undefined,
      );
    const data = Uint8Array.from(Buffer.from(call.data.slice(2), 'hex'));
    const { root } = gateway.parts.anchorer?.transactions.covering(index) ?? { root: new Uint8Array() };
    expect(await ask(data)).toBe(`0x${Buffer.from(root).toString('hex')}`);
    for (let i = 0; i < 100; i++) {
      // From the fifth byte on: other selectors are other questions.
      const bit = 32 + next(data.length * 8 - 32);
      expect(await ask(flip(data, bit)), `bit ${bit} of the calldata`).toBeUndefined();
    }
    await city.finish(gateway);
  });

  it('fails in each with the path, the index or the size of another', async () => {
    const city = await City.build();
    const gateway = await city.gateway();
    const meter = await Meter.at(gateway);
    await meter.send(4); // 5 and 7 leaves: the path of entry 1 has the same shape in both
    await allAnchored(gateway);
    await meter.send(2);
    await allAnchored(gateway);
    const key = gateway.parts.log.verifierKey;
    const fails = async (receipt: Uint8Array | string) =>
      verifyReceipt(receipt, key, undefined, () => undefined).then((failed) => expect(failed).toBeDefined());
    const cose = await receiptOf(gateway, 1, 'cose');
    const hex = Buffer.from(cose).toString('hex');
    // [5, 1, [3 hashes]] in the proof, which RFC 9942 does not sign.
    expect(hex).toContain('83050183');
    await fails(Buffer.from(hex.replace('83050183', '83070183'), 'hex'));
    await fails(Buffer.from(hex.replace('83050183', '83050083'), 'hex'));
    const call = JSON.parse(Buffer.from(await receiptOf(gateway, 1, 'calldata')).toString()) as CallView;
    const size = (n: number): string => n.toString(16).padStart(64, '0');
    await fails(JSON.stringify({ ...call, data: call.data.replace(size(5), size(7)) }));
    await city.finish(gateway);
  });

  it('as calldata is there once an anchor covers the entry, and not before', async () => {
    const city = await City.build();
    const gateway = await city.gateway({ everySeconds: 86_400 });
    await allAnchored(gateway);
    await (await Meter.at(gateway)).send(1);
    expect((await gateway.api('/entries/0/receipt?format=calldata')).status).toBe(200);
    expect((await gateway.api('/entries/1/receipt?format=calldata')).body).toMatchObject({
      status: 409,
      code: 'NOT_ANCHORED',
    });
    expect((await gateway.api('/entries/1/receipt?format=cose')).status).toBe(200);
    await gateway.finish();
  });
});

describe('@transmute/rfc9162, which shares no line with us, agrees', () => {
  const entries = Array.from({ length: 64 }, (_, i) => Uint8Array.of(i, i * 7, 255 - i));
  const { edge } = extend({ size: 0, tiles: [] }, entries.map(leafHash));
  const node = nodeFromTiles((level) => edge.tiles[level] as Uint8Array);
  const plain = (hashes: readonly Uint8Array[]): Uint8Array[] => hashes.map((h) => Uint8Array.from(h));

  it('on roots and inclusion paths: it makes ours, takes ours, and refuses what we refuse', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 64 }).chain((n) => fc.tuple(fc.constant(n), fc.nat(n - 1), fc.nat(255), fc.nat(7))),
        async ([size, index, at, bit]) => {
          const list = entries.slice(0, size);
          const root = Uint8Array.from(rootAt(size, node));
          expect(await RFC9162.treeHead(list)).toEqual(root);
          const path = plain(inclusionPath(index, size, node));
          const proof = { log_id: '', tree_size: size, leaf_index: index, inclusion_path: path };
          expect(await RFC9162.PATH(index, list)).toEqual(path);
          const leaf = await RFC9162.leaf(list[index] as Uint8Array);
          expect(await RFC9162.verifyInclusionProof(root, leaf, proof)).toBe(true);
          expect(await RFC9162.verifyInclusionProof(root, flip(leaf, at), proof)).toBe(false);
          if (path.length === 0) return;
          const broken = path.with(at % path.length, flip(path[at % path.length] as Uint8Array, at ^ bit));
          expect(await RFC9162.verifyInclusionProof(root, leaf, { ...proof, inclusion_path: broken })).toBe(false);
        },
      ),
      { numRuns: 150, seed: 1 },
    );
  });

  it('on consistency proofs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 64 }).chain((n) => fc.tuple(fc.integer({ min: 1, max: n - 1 }), fc.constant(n))),
        async ([first, second]) => {
          const [a, b] = plain([rootAt(first, node), rootAt(second, node)]) as [Uint8Array, Uint8Array];
          // Its proofs begin with the first root where ours, by RFC 9162 section 2.1.4.1, leave it out.
          const ours = plain(consistencyPath(first, second, node));
          const path = Number.isInteger(Math.log2(first)) ? [a, ...ours] : ours;
          expect(await RFC9162.PROOF(first, entries.slice(0, second))).toEqual(path);
          const proof = { log_id: '', tree_size_1: first, tree_size_2: second, consistency_path: path };
          expect(await RFC9162.verifyConsistencyProof(a, b, proof)).toBe(true);
          expect(await RFC9162.verifyConsistencyProof(flip(a, first), b, proof)).toBe(false);
          expect(await RFC9162.verifyConsistencyProof(a, flip(b, second), proof)).toBe(false);
        },
      ),
      { numRuns: 150, seed: 2 },
    );
  });
});
