/**
 * What a P-256 meter signs is checked by the chain itself, where it has the precompile of EIP-7951: anvil's real one here,
 * for envelopes as edge/wire writes them. (forge has it on no EVM of this version: contracts/test/Credits.p256.t.sol has a
 * stand-in.)
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { p256 } from '@noble/curves/nist.js';
import {
  createPublicClient,
  createWalletClient,
  encodeFunctionData,
  type Hex,
  http,
  keccak256,
  parseAbi,
  stringToBytes,
} from 'viem';
import { describe, expect, it } from 'vitest';
import { anchorData, deployData, originId, registerData } from '../../edge/chain/contract.ts';
import {
  creditsAbi,
  decodeRevert,
  deployCreditsData,
  mintData,
  mintDayData,
  showKeyData,
} from '../../edge/chain/credits-contract.ts';
import { deployDevicesData, registerDeviceData } from '../../edge/chain/devices-contract.ts';
import { leafHash, multiPath, nodeHash, rootAt } from '../../edge/log/merkle.ts';
import { DAY, EXPORT_REGISTER, HOUR, POWER } from '../../edge/wire/boundary.ts';
import { ALG_ESP256 } from '../../edge/wire/cose.ts';
import { didFromPublicKey } from '../../edge/wire/did.ts';
import { decodeEnvelope, encodeEnvelope } from '../../edge/wire/envelope.ts';
import { p256PublicKeyOf, signP256 } from '../../edge/wire/p256.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { CITY } from '../support/anvil.ts';
import { onTestFinished } from '../support/ends.ts';

const TODAY = 20_800;
const SUB = 'urn:sejong:mp:roof-1';
const OWNER = '0x00000000000000000000000000000000000a11ce';
const ANVIL = join(import.meta.dirname, '../../node_modules/.bin/anvil');
const checksAbi = parseAbi(['function checksP256() view returns (bool)']);

class Chain {
  readonly rpc: string;

  private constructor(rpc: string) {
    this.rpc = rpc;
  }

  static async start(hardfork: string): Promise<Chain> {
    const anvil = spawn(ANVIL, ['--port', '0', '--hardfork', hardfork], { stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(async () => {
      const gone = new Promise((resolve) => anvil.once('exit', resolve));
      anvil.kill();
      await gone;
    });
    let said = '';
    const rpc = await new Promise<string>((resolve, reject) => {
      anvil.once('exit', () => reject(new Error(`anvil ended: ${said}`)));
      anvil.stdout.on('data', (chunk: Buffer) => {
        said += chunk;
        const at = /Listening on ([\d.]+:\d+)/.exec(said)?.[1];
        if (at !== undefined) resolve(`http://${at}`);
      });
    });
    return new Chain(rpc);
  }

  get client() {
    return createPublicClient({ transport: http(this.rpc, { retryCount: 0 }), cacheTime: 0, pollingInterval: 20 });
  }

  /** Resolves with the gas and, for a deployment, the address. @throws the name of the error that it reverts with */
  async send(to: Hex | null, data: Hex): Promise<{ gas: number; address: Hex }> {
    const wallet = createWalletClient({ account: CITY, transport: http(this.rpc) });
    if (to) {
      const raw = await fetch(this.rpc, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'eth_call',
          params: [{ from: CITY.address, to, data }, 'latest'],
        }),
      });
      const { error } = (await raw.json()) as { error?: { data?: Hex; message: string } };
      if (error) throw new Error(decodeRevert(error.data ?? '0x')?.name ?? error.message);
    }
    const hash = await wallet.sendTransaction({ to, data, gas: 15_000_000n } as never);
    const receipt = await this.client.waitForTransactionReceipt({ hash });
    if (receipt.status !== 'success') throw new Error('it reverted');
    return { gas: Number(receipt.gasUsed), address: (receipt.contractAddress ?? to) as Hex };
  }
}

const secret = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
const did = didFromPublicKey(p256PublicKeyOf(secret), 'P-256');
const point = p256.Point.fromBytes(p256PublicKeyOf(secret)).toBytes(false);
const [x, y] = [point.subarray(1, 33), point.subarray(33)];

const envelope = (iat: number, seq: number, records: SenmlRecord[]): Uint8Array =>
  encodeEnvelope({ iss: did, sub: SUB, iat, epoch: 1, seq }, records, (signed) => signP256(signed, secret));
/** One bit of its signature turned. */
const spoiled = (bytes: Uint8Array): Uint8Array => bytes.with(-9, (bytes.at(-9) ?? 0) ^ 4);
const registerAt = (hour: number): number => 1_000_000 + hour * 3000;
const readingAt = (hour: number, withPower = true): Uint8Array => {
  const register = { n: EXPORT_REGISTER, u: 'Wh', v: registerAt(hour) };
  const power = { n: POWER, u: 'W', v: -3 };
  return envelope(TODAY * DAY + hour * HOUR + (hour % 7) - 3, hour, withPower ? [register, power] : [register]);
};
const profileOf = (day: number): Uint8Array =>
  envelope(
    (day + 1) * DAY + 1,
    99,
    Array.from({ length: 25 }, (_, i) => ({
      n: EXPORT_REGISTER,
      u: 'Wh',
      v: registerAt((day - TODAY) * 24 + i),
      t: day * DAY + i * HOUR,
    })),
  );

async function city(chain: Chain) {
  const { address: anchors } = await chain.send(null, deployData(CITY.address));
  const { address: devices } = await chain.send(null, deployDevicesData(CITY.address));
  const { address: credits } = await chain.send(null, deployCreditsData(anchors, devices, CITY.address));
  const id = (text: string): Hex => keccak256(stringToBytes(text));
  await chain.send(
    devices,
    registerDeviceData({
      device: id(did),
      meteringPoint: id(SUB),
      owner: OWNER,
      kind: 'plant',
      energySource: 'solar',
      capacityW: 5000,
      custody: 'device',
    }),
  );
  let logs = 0;
  /** A new log with these and some others, anchored; its proof, and each envelope's index. */
  const logged = async (envelopes: Uint8Array[]) => {
    const entries: Uint8Array[] = [];
    const indexes = envelopes.map((e, i) => {
      entries.push(...Array.from({ length: i % 3 }, (_, k) => Uint8Array.of(i, k)), e);
      return entries.length - 1;
    });
    entries.push(Uint8Array.of(255));
    const hashes = entries.map(leafHash);
    const node = (level: number, index: number): Uint8Array =>
      level === 0
        ? (hashes[index] as Uint8Array)
        : nodeHash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1));
    const name = `log ${logs++}`;
    await chain.send(anchors, registerData(name, CITY.address));
    await chain.send(anchors, anchorData(name, entries.length, rootAt(entries.length, node), []));
    return {
      indexes,
      proof: { origin: originId(name), size: entries.length, nodes: multiPath(indexes, entries.length, node) },
    };
  };
  return {
    credits,
    mint: async (envelopes: Uint8Array[]) => {
      const { indexes, proof } = await logged(envelopes);
      const readings = envelopes.map((bytes, i) => {
        const { iat, epoch, seq, records, signature } = decodeEnvelope(bytes);
        const [register, power] = records;
        return {
          index: indexes[i] as number,
          iat,
          epoch,
          seq,
          registerWh: register?.v as number,
          powerW: power?.v,
          alg: ALG_ESP256,
          signature,
        };
      });
      return chain.send(credits, mintData(did, SUB, readings, proof));
    },
    mintDay: async (bytes: Uint8Array) => {
      const { indexes, proof } = await logged([bytes]);
      const { iat, epoch, seq, records, signature } = decodeEnvelope(bytes);
      const day = (records[0]?.t as number) / DAY;
      const registersWh = records.map((r) => r.v as number);
      const fields = { index: indexes[0] as number, iat, epoch, seq, day, registersWh, alg: ALG_ESP256, signature };
      return chain.send(credits, mintDayData(did, SUB, fields, proof));
    },
    showKey: (py = y) => chain.send(credits, showKeyData(did, x, py)),
    certified: async (hour: number) => {
      const data = encodeFunctionData({
        abi: creditsAbi,
        functionName: 'slotOf',
        args: [id(SUB), TODAY * DAY + hour * HOUR],
      });
      return Number((await chain.client.call({ to: credits, data })).data?.slice(0, 66)) === 1;
    },
    checks: () => chain.client.readContract({ address: credits, abi: checksAbi, functionName: 'checksP256' }),
  };
}

describe('certificates of a P-256 meter', () => {
  it('are minted where the chain finds each signature good, on a chain that can', async () => {
    const chain = await Chain.start('osaka');
    const c = await city(chain);
    expect(await c.checks()).toBe(true);
    const hours = (from: number, until: number): Uint8Array[] =>
      Array.from({ length: until - from + 1 }, (_, i) => readingAt(from + i, i % 2 === 0));
    await expect(c.mint(hours(0, 3))).rejects.toThrow('KeyNotShown');
    await expect(c.showKey(x)).rejects.toThrow('WrongKey');
    await c.showKey();
    for (let bad = 0; bad < 4; bad++) {
      const batch = hours(0, 3).map((bytes, i) => (i === bad ? spoiled(bytes) : bytes));
      await expect(c.mint(batch)).rejects.toThrow('BadSignature');
    }
    await c.mint(hours(0, 3));
    expect(await Promise.all([0, 2, 3].map(c.certified))).toEqual([true, true, false]);
    await expect(c.mintDay(spoiled(profileOf(TODAY + 1)))).rejects.toThrow('BadSignature');
    await c.mintDay(profileOf(TODAY + 1));
    expect(await c.certified(40)).toBe(true);
  });

  it('are believed like those of Ed25519 on a chain that cannot', async () => {
    const c = await city(await Chain.start('cancun'));
    expect(await c.checks()).toBe(false);
    await c.mint([readingAt(0), spoiled(readingAt(1))]);
    expect(await c.certified(0)).toBe(true);
  });
});
