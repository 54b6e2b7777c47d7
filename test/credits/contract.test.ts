/**
 * The rules against the contract: whatever settle() certifies, Credits.sol mints, to the Wh; what it refuses for the
 * capacity or a register that fell, the contract refuses with the same word; and corrections are booked as the model says.
 */
import fc from 'fast-check';
import { type Hex, toHex } from 'viem';
import { describe, expect, it } from 'vitest';
import { commitment } from '../../edge/chain/commitment.ts';
import { anchorData, originId } from '../../edge/chain/contract.ts';
import {
  claimData,
  creditsAbi,
  decodeRevert,
  mintData,
  mintResidualData,
  type ReadingFields,
  setModulusData,
  withdrawData,
} from '../../edge/chain/credits-contract.ts';
import { deployCredits, deployDevices } from '../../edge/chain/deploy.ts';
import { registerDeviceData } from '../../edge/chain/devices-contract.ts';
import { revertDataOf } from '../../edge/chain/rpc.ts';
import { Correction } from '../../edge/credits/correction.ts';
import { settle } from '../../edge/credits/settle.ts';
import { dayOf } from '../../edge/credits/time.ts';
import type { Boundary, Fixed, ReadySlot } from '../../edge/credits/types.ts';
import { leafHash, multiPath, type NodeReader, nodeHash, rootAt } from '../../edge/log/merkle.ts';
import { didFromPublicKey } from '../../edge/wire/did.ts';
import { decodeEnvelope, encodeEnvelope } from '../../edge/wire/envelope.ts';
import { CHAIN_ID, CITY, ORIGIN, TestChain } from '../support/anvil.ts';
import { type History, historyArb } from './histories.ts';
import { HOUR, NOON } from './rig.ts';

const HISTORIES = 14;
const silent = (): void => undefined;

/** A history whose meters have DIDs, whose readings are entries of a log. */
type Told = History & { point: string };

class World {
  readonly #chain: TestChain;
  readonly #anchors: Hex;
  readonly #devices: Hex;
  readonly credits: Hex;
  readonly #entries: Uint8Array[] = [];
  #size = 0;
  #row: Uint8Array[][] = [];

  private constructor(chain: TestChain, anchors: Hex, devices: Hex, credits: Hex) {
    [this.#chain, this.#anchors, this.#devices, this.credits] = [chain, anchors, devices, credits];
  }

  static async make(): Promise<World> {
    const chain = await TestChain.start();
    const { address: anchors } = await chain.deploy();
    const devices = await deployDevices(chain.rpc, CHAIN_ID, CITY, silent);
    const { credits } = await deployCredits(chain.rpc, CHAIN_ID, CITY, { anchors, devices }, silent);
    return new World(chain, anchors, devices, credits);
  }

  async register(did: string, point: string, capacityW: number, modulusWh: number | null): Promise<void> {
    const plant = { owner: CITY.address, kind: 'plant', energySource: 'solar', custody: 'device' as const, capacityW };
    const meteringPoint = commitment(point);
    await this.demand(this.#devices, registerDeviceData({ ...plant, device: commitment(did), meteringPoint }));
    if (modulusWh !== null) await this.demand(this.credits, setModulusData(commitment(did) as Hex, modulusWh));
  }

  /** @returns its index */
  append(iss: string, sub: string, iat: number, registerWh: number): number {
    const seq = this.#entries.length;
    const records = [{ n: '1-0:2.8.0', u: 'Wh', v: registerWh }];
    // The contract leaves the signatures of Ed25519 to whoever may anchor.
    this.#entries.push(encodeEnvelope({ iss, sub, iat, epoch: 1, seq }, records, () => new Uint8Array(64).fill(7)));
    return seq;
  }

  async anchor(): Promise<void> {
    this.#size = this.#entries.length;
    this.#row = [this.#entries.map(leafHash)];
    for (let row = this.#row[0] as Uint8Array[]; row.length > 1; this.#row.push(row))
      row = Array.from({ length: Math.floor(row.length / 2) }, (_, i) =>
        nodeHash(row[2 * i] as Uint8Array, row[2 * i + 1] as Uint8Array),
      );
    await this.demand(this.#anchors, anchorData(ORIGIN, this.#size, rootAt(this.#size, this.#node), []));
  }

  readonly #node: NodeReader = (level, index) => this.#row[level]?.[index] as Uint8Array;

  #proof(indexes: readonly number[]) {
    const rising = [...new Set(indexes)].sort((a, b) => a - b);
    return { origin: originId(ORIGIN), size: this.#size, nodes: multiPath(rising, this.#size, this.#node) };
  }

  #fields(index: number): ReadingFields {
    const { iat, epoch, seq, alg, signature, records } = decodeEnvelope(this.#entries[index] as Uint8Array);
    return { index, iat, epoch, seq, alg, signature, registerWh: records[0]?.v as number, powerW: undefined };
  }

  mintCall(point: string, readings: readonly Boundary[]): Hex {
    const indexes = readings.map((r) => r.idx);
    const iss = (readings[0] as Boundary).device;
    return mintData(
      iss,
      point,
      indexes.map((i) => this.#fields(i)),
      this.#proof(indexes),
    );
  }

  residualCall(point: string, start: Boundary, end: Boundary): Hex {
    const ends = [this.#fields(start.idx), this.#fields(end.idx)] as const;
    return mintResidualData(start.device, point, ends, this.#proof([start.idx, end.idx]));
  }

  /** What the contract says to it: undefined where it would do it. */
  async refusal(data: Hex): Promise<string | undefined> {
    try {
      await this.#chain.client.call({ account: CITY.address, to: this.credits, data });
      return undefined;
    } catch (error) {
      const reverted = revertDataOf(error);
      return (reverted && decodeRevert(reverted)?.name) ?? (error as Error).message;
    }
  }

  async demand(to: Hex, data: Hex): Promise<void> {
    const hash = await this.#chain.call<Hex>('eth_sendTransaction', {
      from: CITY.address,
      to,
      data,
      gas: toHex(8_000_000),
    });
    const receipt = await this.#chain.client.waitForTransactionReceipt({ hash });
    if (receipt.status !== 'success') throw new Error(`reverted: ${await this.refusal(data)}`);
  }

  balance(id: bigint): Promise<bigint> {
    const { client } = this.#chain;
    return client.readContract({
      abi: creditsAbi,
      address: this.credits,
      functionName: 'balanceOf',
      args: [CITY.address, id],
    });
  }

  read<T>(functionName: 'slotOf' | 'debtOf' | 'idOf', ...args: unknown[]): Promise<T> {
    const { client } = this.#chain;
    return client.readContract({
      abi: creditsAbi,
      address: this.credits,
      functionName,
      args: args as never,
    }) as Promise<T>;
  }
}

/** Of hours that follow each other, of one meter and one UTC day. */
function batchesOf(slots: readonly ReadySlot[]): ReadySlot[][] {
  const batches: ReadySlot[][] = [];
  for (const slot of slots) {
    const last = batches.at(-1)?.at(-1);
    const goesOn =
      last &&
      last.slot + HOUR === slot.slot &&
      dayOf(last.slot) === dayOf(slot.slot) &&
      last.end.device === slot.start.device;
    if (goesOn) batches.at(-1)?.push(slot);
    else batches.push([slot]);
  }
  return batches;
}

const readingsOf = (batch: readonly ReadySlot[]): Boundary[] => [
  (batch[0] as ReadySlot).start,
  ...batch.map((s) => s.end),
];

const key = (n: number): Uint8Array => {
  // Points of Ed25519: any 32 bytes that are one will do, as the contract does not look; a real DID is of a real key.
  const bytes = new Uint8Array(32).fill(9);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};

async function tell(): Promise<{ world: World; told: Told[] }> {
  const world = await World.make();
  const told: Told[] = [];
  const histories = fc.sample(fc.boolean().chain(historyArb), { seed: 11, numRuns: HISTORIES });
  for (const [n, h] of histories.entries()) {
    const point = `urn:sejong:mp:${String(n).padStart(6, '0')}`;
    const dids = new Map(h.plant.meters.map(({ did }, i) => [did, didFromPublicKey(key(100 * n + i))]));
    const named = (did: string): string => dids.get(did) as string;
    const meters = h.plant.meters.map((m) => ({ ...m, did: named(m.did) }));
    for (const m of meters) await world.register(m.did, point, m.capacityW as number, m.modulusWh);
    const readings = h.readings.map((r) => {
      const device = named(r.device);
      return { ...r, device, idx: world.append(device, point, r.iat, r.registerWh) };
    });
    const swaps = h.swaps.map((s) => ({ ...s, old: named(s.old), next: named(s.next) }));
    told.push({ ...h, point, readings, swaps, plant: { ...h.plant, point, meters } });
  }
  await world.anchor();
  return { world, told };
}

describe('the rules against the contract', () => {
  it('what settle() certifies is minted, to the Wh, whatever came late; what it refuses for its registers is refused there', async () => {
    const { world, told } = await tell();
    const counts = { batches: 0, hours: 0, residuals: 0, refused: 0 };
    for (const h of told) {
      const fixed = new Map<number, Fixed>();
      const taken = new Set<number>();
      const fix = ({ at, registerWh, device }: Boundary) => fixed.set(at, { at, registerWh, device });
      const minted = new Map<number, bigint>();
      // In thirds, the last first: what comes then is late.
      const third = Math.ceil(h.readings.length / 3);
      for (const known of [2, 1, 0]) {
        const boundaries = h.readings.filter((r, i) => Math.floor(i / third) >= known || r.idx % 5 === 0);
        const s = settle(h.plant, { boundaries, swaps: h.swaps, fixed: [...fixed.values()], taken });
        for (const r of s.refused) {
          const isOfTheHour = r.until - r.from === HOUR && r.start.device === r.end.device;
          const modulus = h.plant.meters.find((m) => m.did === r.start.device)?.modulusWh ?? 0;
          const fell = r.start.registerWh < modulus ? 'OverCapacity' : 'RegisterFell';
          const word = { CREDIT_OVER_CAPACITY: 'OverCapacity', CREDIT_REGISTER_FELL: fell }[r.code as string];
          // That a register is below what was certified before it is seen by the rules alone.
          if (!isOfTheHour || !word || r.detail.includes(' is ')) continue;
          expect(await world.refusal(world.mintCall(h.point, [r.start, r.end])), r.detail).toBe(word);
          counts.refused++;
        }
        for (const batch of batchesOf(s.certificates)) {
          const readings = readingsOf(batch);
          const day = dayOf((batch[0] as ReadySlot).slot);
          await world.demand(world.credits, world.mintCall(h.point, readings));
          const wh = batch.reduce((sum, c) => sum + c.wh, 0);
          minted.set(day, (minted.get(day) ?? 0n) + BigInt(wh));
          const id = await world.read<bigint>('idOf', commitment(h.point), day);
          expect(await world.balance(id)).toBe(minted.get(day));
          for (const { slot, wh: of } of batch) {
            taken.add(slot);
            expect(
              (await world.read<[boolean, number, number]>('slotOf', commitment(h.point), slot)).slice(0, 2),
            ).toEqual([true, of]);
          }
          fix(readings[0] as Boundary);
          fix(readings.at(-1) as Boundary);
          expect(await world.refusal(world.mintCall(h.point, readings)), 'no slot twice').toBe('SlotTaken');
          counts.batches++;
          counts.hours += batch.length;
        }
        for (const r of known === 0 ? s.residuals : []) {
          const call = world.residualCall(h.point, r.start, r.end);
          if (!r.mintable) continue;
          await world.demand(world.credits, call);
          counts.residuals++;
        }
      }
    }
    expect(counts.batches).toBeGreaterThan(60);
    expect(counts.hours).toBeGreaterThan(150);
    expect(counts.residuals).toBeGreaterThan(3);
    expect(counts.refused).toBeGreaterThan(3);
  });
});

describe('9. Correction: the model against the contract', () => {
  it('over a random history of certifying, claiming and withdrawing, tokens, claims and debts are the same', async () => {
    const world = await World.make();
    const [point, did] = ['urn:sejong:mp:9', didFromPublicKey(key(9))];
    const pointId = commitment(point) as Hex;
    await world.register(did, point, 10_000, null);
    // Two meters' worth of readings for each hour: what is certified anew may be of other registers within it.
    const [hours, variants] = [30, 3];
    const from = NOON - (NOON % 86_400) + 3 * HOUR;
    const readings: Boundary[][] = [];
    for (let v = 0; v < variants; v++) {
      const row: Boundary[] = [];
      for (let i = 0, wh = 1000 * v; i <= hours; i++, wh += 500 + ((i * (v + 1) * 7919) % 900)) {
        const at = from + i * HOUR;
        const idx = world.append(did, point, at + v, wh);
        row.push({
          at,
          device: did,
          idx,
          iat: at + v,
          registerWh: wh,
          shape: 'reading',
          receivedMs: 0,
          clock: { synced: true },
        });
      }
      readings.push(row);
    }
    await world.anchor();

    const model = new Correction();
    const steps = fc.sample(
      fc.record({
        what: fc.constantFrom('certify', 'certify', 'certify', 'claim', 'claim', 'withdraw'),
        hour: fc.nat(hours - 1),
        n: fc.integer({ min: 1, max: 4 }),
        v: fc.nat(variants - 1),
        part: fc.integer({ min: 1, max: 4 }),
      }),
      { seed: 21, numRuns: 260 },
    );
    const done = { certify: 0, claim: 0, withdraw: 0, debts: 0, fixed: 0 };
    for (const { what, hour, n, v, part } of steps) {
      const certified = Array.from({ length: hours }, (_, i) => from + i * HOUR).filter((at) => model.left(at) > 0);
      // Mostly where something is.
      const slot = what === 'certify' || v === 0 ? from + hour * HOUR : (certified[hour % certified.length] ?? from);
      if (what === 'certify') {
        const ends = (readings[v] as Boundary[]).slice(hour, hour + n + 1);
        const slots = ends
          .slice(1)
          .map((e, i) => ({ slot: (ends[i] as Boundary).at, wh: e.registerWh - (ends[i] as Boundary).registerWh }));
        if (dayOf(slot) !== dayOf((slots.at(-1) as { slot: number }).slot)) continue;
        const call = world.mintCall(point, ends);
        const refusal = await world.refusal(call);
        if (slots.some((s) => model.certified(s.slot) !== undefined)) {
          expect(refusal).toBe('SlotTaken');
          continue;
        }
        // The ends of what was certified once stay fixed, withdrawn or not.
        if (refusal === 'BoundaryFixed') {
          done.fixed++;
          continue;
        }
        expect(refusal).toBeUndefined();
        const id = () => world.read<bigint>('idOf', pointId, dayOf(slot));
        const before = await world.balance(await id());
        await world.demand(world.credits, call);
        const { tokensWh, debitedWh } = model.certify(slots);
        expect((await world.balance(await id())) - before).toBe(BigInt(tokensWh));
        done.certify++;
        if (debitedWh > 0) done.debts++;
      } else if (what === 'claim') {
        const left = model.left(slot);
        const wh = Math.ceil(left / part);
        const line = { meteringPoint: pointId, slot, wh: Math.max(1, wh) };
        const call = claimData([line], `0x${'00'.repeat(32)}`, 'own-use', '');
        if (left === 0) expect(await world.refusal(call)).toBe('SlotClaimed');
        else {
          await world.demand(world.credits, call);
          model.claim(slot, wh);
          done.claim++;
        }
      } else {
        const day = dayOf(slot);
        const call = withdrawData(pointId, day, 'a test');
        if (await world.refusal(call)) {
          expect(() => model.withdraw(day)).toThrow(RangeError);
          continue;
        }
        await world.demand(world.credits, call);
        model.withdraw(day);
        done.withdraw++;
      }
      expect(await world.read<bigint>('debtOf', pointId)).toBe(BigInt(model.debtWh));
      const first = (slot - from) / HOUR;
      for (let i = first; i < Math.min(hours, first + 4); i++) {
        const [certified, wh, off] = await world.read<[boolean, number, number]>('slotOf', pointId, from + i * HOUR);
        const expected = model.certified(from + i * HOUR);
        expect([certified, wh, off]).toEqual([expected !== undefined, expected ?? 0, model.off(from + i * HOUR)]);
      }
    }
    expect(done.certify).toBeGreaterThan(20);
    expect(done.claim).toBeGreaterThan(10);
    expect(done.withdraw).toBeGreaterThan(5);
    expect(done.debts).toBeGreaterThan(3);
  });
});
