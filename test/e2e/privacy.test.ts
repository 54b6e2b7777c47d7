/**
 * A whole run with vehicles and households, and then everything that is open to anybody: each transaction and event on
 * the chain, each tile, each bundle of entries, each receipt. Nothing in it names a sealed device, or is a hash that who
 * guesses one could compare. That the search would find it is shown by a plant, which is public.
 */
import { createHash } from 'node:crypto';
import { keccak256 } from 'viem';
import { expect, it } from 'vitest';
import { rpcClient } from '../../edge/chain/rpc.ts';
import { leafHash } from '../../edge/log/merkle.ts';
import { hashesAtLevel, TILE_WIDTH, tilePath } from '../../edge/log/tile.ts';
import { decodeDid } from '../../edge/wire/did.ts';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { isHashEnvelope } from '../../edge/wire/hash-envelope.ts';
import type { KeyType } from '../../edge/wire/keys.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { FAST } from '../chain/rig.ts';
import { connectMqtt, startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

class Vehicle extends TestDevice {
  readonly vin: string;
  readonly plate: string;
  constructor(name: string, keyType: KeyType) {
    super(name, 'vehicle', keyType);
    this.vin = `${name}MHSJ81UPMU000001`;
    this.plate = `${name}23GA4567`;
  }
  get position(): [number, number] {
    const here = this.vin.charCodeAt(0) / 1e6; // no two at one place
    return [36.480_312_5 + here + this.seq / 7000, 127.289_123_4 - here - this.seq / 9000];
  }
  override records(): SenmlRecord[] {
    const [latitude, longitude] = this.position;
    return [
      { n: 'Vehicle.Speed', u: 'km/h', v: 30 },
      { n: 'Vehicle.CurrentLocation.Latitude', v: latitude },
      { n: 'Vehicle.CurrentLocation.Longitude', v: longitude },
      { n: 'Vehicle.VehicleIdentification.VIN', vs: this.vin },
      { n: 'Vehicle.VehicleIdentification.LicensePlate', vs: this.plate },
    ];
  }
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** The ways in which bytes may stand in a text or a file: themselves, hexadecimal, base64 wherever they begin in it. */
function forms(needle: Uint8Array): string[] {
  const bytes = Buffer.from(needle);
  const base64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64url');
    // Only the characters that are made of the needle alone.
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
  return [
    bytes.toString('latin1'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...base64,
    ...base64.map((text) => text.replaceAll('-', '+').replaceAll('_', '/')),
  ];
}

/** With every hash of it that somebody could make who has a guess. */
const guesses = (what: Uint8Array): Uint8Array[] => [
  what,
  sha256(what),
  sha256(Buffer.from(sha256(what).toString('hex'))),
  Buffer.from(keccak256(what).slice(2), 'hex'),
  createHash('sha1').update(what).digest(),
  leafHash(what),
];

type Needle = { what: string; bytes: Uint8Array };

function needlesOf(device: TestDevice, envelopes: readonly Uint8Array[]): Needle[] {
  const named: [string, Uint8Array][] = [
    ['DID', Buffer.from(device.did)],
    ['key as text', Buffer.from(device.did.slice('did:key:z'.length))],
    ['sub', Buffer.from(device.sub)],
    ['public key', decodeDid(device.did).bytes],
    ...(device instanceof Vehicle
      ? ([
          ['VIN', Buffer.from(device.vin)],
          ['plate', Buffer.from(device.plate)],
        ] as [string, Uint8Array][])
      : []),
  ];
  for (const [i, envelope] of envelopes.entries()) {
    const { signature, payload, records } = decodeEnvelope(envelope);
    named.push([`envelope ${i}`, envelope], [`payload ${i}`, payload], [`signature ${i}`, signature]);
    named.push([`half a signature ${i}`, signature.subarray(0, 32)]);
    for (const { n, v } of records)
      if (/Latitude|Longitude/.test(n)) {
        const double = Buffer.alloc(8);
        double.writeDoubleBE(v as number);
        named.push([`${n} ${i}`, double], [`${n} ${i} as text`, Buffer.from(String(v))]);
      }
  }
  return named.flatMap(([what, bytes]) =>
    guesses(bytes).map((b, i) => ({ what: `${what}${i ? ` hash ${i}` : ''}`, bytes: b })),
  );
}

/** What of these stands in the texts. */
const found = (needles: readonly Needle[], haystack: string): string[] =>
  needles.filter(({ bytes }) => forms(bytes).some((form) => haystack.includes(form))).map(({ what }) => what);

/** Everything that is open without a token. */
async function publicLog(gateway: TestGateway): Promise<string> {
  const parts: Buffer[] = [];
  const get = async (path: string): Promise<void> => {
    const answer = await fetch(gateway.info.http + path);
    expect(answer.status, path).toBe(200);
    parts.push(Buffer.from(await answer.arrayBuffer()), Buffer.from('|'));
  };
  const size = gateway.parts.log.latest?.size as number;
  for (const path of ['/log/checkpoint', '/log/key', '/log/witnesses', '/log/minimum-index', '/health', '/metrics'])
    await get(path);
  for (const level of ['entries', 0, 1] as const) {
    const total = hashesAtLevel(size, level === 'entries' ? 0 : level);
    for (let n = 0; n * TILE_WIDTH < total; n++)
      await get(`/log/${tilePath(level, n, Math.min(TILE_WIDTH, total - n * TILE_WIDTH))}`);
  }
  for (let index = 0; index < size; index++)
    for (const format of ['json', 'tlog-proof', 'cose', 'calldata'])
      await get(`/entries/${index}/receipt?format=${format}`);
  return Buffer.concat(parts).toString('latin1');
}

/** All transactions and all events, of whomever. */
async function wholeChain(gateway: TestGateway): Promise<{ text: string; transactions: number }> {
  const client = rpcClient(gateway.info.rpc as string);
  const parts: string[] = [];
  let transactions = 0;
  for (let n = 0n; n <= (await client.getBlockNumber()); n++) {
    const block = await client.getBlock({ blockNumber: n, includeTransactions: true });
    for (const { input, hash } of block.transactions) {
      transactions++;
      parts.push(Buffer.from(input.slice(2), 'hex').toString('latin1'), input);
      for (const { data, topics } of (await client.getTransactionReceipt({ hash })).logs)
        parts.push(Buffer.from(data.slice(2), 'hex').toString('latin1'), data, topics.join(' '));
    }
  }
  return { text: parts.join('|'), transactions };
}

it('no transaction, no tile, no bundle and no receipt says anything of a sealed device, whatever happened to it', {
  timeout: 120_000,
}, async () => {
  const gateway = await startTestGateway({
    clock: { source: 'synced' },
    log: { checkpointSeconds: 0.2 },
    chain: { mode: 'embedded', ...FAST },
  });
  const plant = await new TestDevice('plant', 'plant', 'P-256').enrol(gateway);
  const sealed = [
    new Vehicle('A', 'Ed25519'),
    new Vehicle('B', 'P-256'),
    new Vehicle('C', 'Ed25519'), // which will be forgotten
    new TestDevice('household-1', 'meter', 'Ed25519'),
    new TestDevice('household-2', 'meter', 'P-256'),
  ];
  for (const device of sealed) await device.enrol(gateway);
  const envelopes = new Map<TestDevice, Uint8Array[]>([...sealed, plant].map((device) => [device, []]));
  const send = async (device: TestDevice, times: number): Promise<void> => {
    const client = await device.connect(gateway);
    for (let i = 0; i < times; i++) {
      const records = device === plant ? [{ n: '1-0:2.8.0', u: 'Wh', v: 1000 + i }] : device.records();
      const envelope = device.envelope({ records });
      envelopes.get(device)?.push(envelope);
      await device.publish(client, envelope);
    }
    await client.endAsync();
  };
  await Promise.all([...sealed, plant].map((device) => send(device, 12)));
  // A meter that cannot sign: the gateway does.
  const legacy = { kind: 'meter', custody: 'gateway', sub: 'urn:sejong:mp:legacy-household' };
  const enrolled = (await gateway.api('/devices', { method: 'POST', body: legacy })).body as {
    device: { did: string };
    secret: string;
  };
  const client = await connectMqtt(gateway, enrolled.device.did, enrolled.secret);
  const senml = JSON.stringify([{ n: '1-0:1.8.0', u: 'Wh', v: 4242 }]);
  await client.publishAsync(`up/${enrolled.device.did}/senml`, senml, { qos: 1 });

  // Gaps that are declared lost, by the gateway's own entries; equivocation; a device that is forgotten.
  const [first, second, third] = sealed as [Vehicle, Vehicle, Vehicle];
  for (const device of [first, sealed[3] as TestDevice]) {
    device.seq += 5;
    await send(device, 1);
    const range = { epoch: 1, first: device.seq - 6, last: device.seq - 2 };
    expect((await gateway.api(`/devices/${device.did}/gaps`, { method: 'POST', body: range })).status).toBe(201);
  }
  const twice = second.envelope({ seq: 2, records: [{ n: 'Vehicle.Speed', u: 'km/h', v: 99 }] });
  expect(await gateway.parts.accept.offer(twice, { did: second.did, topic: 'test' })).toMatchObject({
    code: 'EQUIVOCATION',
  });
  expect((await gateway.api('/forget', { method: 'POST', body: { subject: third.sub } })).status).toBe(200);
  const { log, entries, anchorer, devices, registry } = gateway.parts;
  await until(
    () => devices.list().every((d) => d.kind === 'gateway' || registry.registered(d) !== undefined),
    "all are in the city's registry, on the chain",
  );
  await until(() => (anchorer?.state.headSize ?? 0) === log.size, 'all is anchored');

  const open = await publicLog(gateway);
  const chain = await wholeChain(gateway);
  // Two contracts, seven devices, and anchors.
  expect(chain.transactions).toBeGreaterThan(2 + 7);
  const haystack = `${open}|${chain.text}`;
  for (const device of sealed)
    expect(found(needlesOf(device, envelopes.get(device) as Uint8Array[]), haystack), device.sub).toEqual([]);
  const made = entries.page(0, 10_000).find(({ device }) => gateway.parts.devices.byId(device)?.sub === legacy.sub);
  const stranger = Object.assign(new TestDevice('stranger'), { did: enrolled.device.did, sub: legacy.sub });
  expect(found(needlesOf(stranger, [new Uint8Array(made?.envelope as Uint8Array)]), haystack)).toEqual([]);
  expect(found(needlesOf(second, [twice]), haystack)).toEqual([]);

  // The search sees: what is public is found, and of what is sealed who may read it.
  const seen = found(needlesOf(plant, envelopes.get(plant) as Uint8Array[]), open);
  for (const what of ['DID', 'key as text', 'sub', 'envelope 0', 'envelope 0 hash 5', 'signature 11'])
    expect(seen).toContain(what);
  const private_ = (await gateway.api('/entries?limit=1000')).text;
  const read = found(needlesOf(first, envelopes.get(first) as Uint8Array[]), private_);
  for (const what of ['DID', 'sub', 'VIN', 'plate', 'signature 3', 'Vehicle.CurrentLocation.Latitude 0'])
    expect(read).toContain(what);
  expect(found(needlesOf(third, envelopes.get(third) as Uint8Array[]), private_)).toEqual([
    'DID',
    'key as text',
    'sub',
  ]);

  // All that is sealed looks alike, but for its hash and its signature: in length, too.
  const rows = entries.page(0, 10_000);
  const shut = rows.filter(({ entry }) => isHashEnvelope(new Uint8Array(entry)));
  expect(shut).toHaveLength(5 * 12 + 2 + 1 + 2);
  expect(new Set(shut.map(({ entry }) => entry.length)).size).toBe(1);
  const truth = await gateway.finish({ verifyOneIn: 5 });
  expect([truth.forgotten.size, truth.sealed]).toEqual([12, 53]);
});
