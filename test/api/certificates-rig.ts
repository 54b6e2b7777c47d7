/** Certificates behind a real HTTP server. */
import { createHash } from 'node:crypto';
import type { CertificateRowView } from '../../edge/api/credit-views.ts';
import type { ApiParts } from '../../edge/api/parts.ts';
import { Api } from '../../edge/api/server.ts';
import { type CreditWallet, certificateParts } from '../../edge/certificates.ts';
import { commitment } from '../../edge/chain/commitment.ts';
import { creditDocuments } from '../../edge/credit-documents.ts';
import { certificateSchema } from '../../edge/credits/certificate.ts';
import { dayTokenId } from '../../edge/credits/certificate-file.ts';
import { certificateId, gsrnOf } from '../../edge/credits/gsrn.ts';
import type { Deed } from '../../edge/people.ts';
import { CreditNews } from '../../edge/store/credit-news.ts';
import {
  type CertificateRow,
  CreditRows,
  saveBoundary,
  saveCertificate,
  saveResidual,
} from '../../edge/store/credits.ts';
import type { SqlStatement } from '../../edge/store/store.ts';
import type { Role } from '../../edge/tokens.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import { makeSigner } from '../../firmware-sim/signer.ts';
import { GATEWAY } from '../credits/certificate-rig.ts';
import { onTestFinished } from '../support/ends.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

export const HOUR = 3600;
export const SLOT = Date.UTC(2026, 10, 24, 3) / 1000;
export const DAY = SLOT - (SLOT % 86_400);
export const OURS = `0x${'0a'.repeat(20)}`;
export const THEIRS = `0x${'0b'.repeat(20)}`;
export const CREDITS = `0x${'c1'.repeat(20)}`;
export const hash = (text: string): string => `0x${createHash('sha256').update(text).digest('hex')}`;
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.slice(2), 'hex'));

type Answer = { status: number; headers: Headers; text: string; body: never };

/** Hours 0 to 5 of the noon of a plant: registers go up by 400, 401, ... */
const REGISTERS = [0, 400, 801, 1203, 1606, 2010, 2415].map((wh) => 1_000_000 + wh);

export const idOf = (device: TestDevice, n: number, version = 0): string =>
  certificateId(gsrnOf(device.sub), SLOT + n * HOUR, version);
export const tokenOf = (device: TestDevice): string => dayTokenId(commitment(device.sub), DAY / 86_400, 0);

/**
 * Two plants of a real gateway, readings over MQTT, rows as rules and follower write them, and the API over those. The
 * wallet writes down what it is asked.
 */
export async function startRig() {
  const rowOf = new Map<string, CertificateRow>();
  const deeds: Deed[] = [];
  const calls: unknown[][] = [];
  const balances = new Map<string, bigint>();
  const onItsWay = new Set<string>();
  const claiming = new Map<string, number>();
  let api: Api | undefined;
  const gateway = await startTestGateway();
  const { parts } = gateway;
  const { store, devices, log, entries } = parts;
  const plant = new TestDevice('plant-a', 'plant');
  const other = new TestDevice('plant-b', 'plant');
  for (const { did, sub, kind } of [plant, other])
    await devices.enrol(
      { did, sub, kind, custody: 'device', capacityW: 1000, energySource: 'solar', owner: null },
      Date.now(),
    );
  // The readings of both plants, over MQTT, and what the rules would make of them.
  const made: CertificateRow[] = [];
  const boundaries: Parameters<typeof saveBoundary>[0][] = [];
  for (const device of [plant, other]) {
    const client = await device.connect(gateway);
    const sign = makeSigner(device);
    const first = log.size;
    for (const [n, v] of REGISTERS.entries()) {
      const claims = { iss: device.did, sub: device.sub, iat: SLOT + n * HOUR + n, epoch: 1, seq: n };
      await device.publish(client, encodeEnvelope(claims, [{ n: '1-0:2.8.0', u: 'Wh', v }], sign));
    }
    const { id } = devices.get(device.did)!;
    for (const [n, registerWh] of REGISTERS.entries()) {
      const boundary = {
        ...{
          point: device.sub,
          at: SLOT + n * HOUR,
          idx: first + n,
          device: id,
          iat: SLOT + n * HOUR + n,
          registerWh,
        },
        ...{ shape: 'reading' as const, receivedMs: 1, boot: 1, clockSynced: 1 as const, offsetMs: null },
      };
      boundaries.push(boundary);
      const before = boundaries.at(-2);
      if (n === 0 || !before) continue;
      made.push({
        ...{ point: device.sub, slot: before.at, version: 0, id: idOf(device, n - 1), device: id, shape: 'reading' },
        ...{ pointId: commitment(device.sub), wh: registerWh - before.registerWh },
        ...{ startIdx: before.idx, startIat: before.iat, startWh: before.registerWh },
        ...{ endIdx: boundary.idx, endIat: boundary.iat, endWh: registerWh },
        flags: JSON.stringify(n === 1 ? [{ flag: 'night', evidence: { sunDegrees: -3.5 } }] : []),
        ...{ state: 'ready', code: null, detail: null, madeMs: (SLOT + 8 * HOUR) * 1000 + n },
      });
    }
  }
  // The meter between the building and the grid: sealed, with both registers in each pack.
  const grid = await new TestDevice('grid').enrol(gateway);
  const gridClient = await grid.connect(gateway);
  for (const [n, [imported, exported]] of [
    [7000, 100],
    [7900, 600],
  ].entries()) {
    const claims = { iss: grid.did, sub: grid.sub, iat: SLOT + n * 6 * HOUR - 20, epoch: 1, seq: n };
    const records = [
      { n: '1-0:1.8.0', u: 'Wh', v: imported as number },
      { n: '1-0:2.8.0', u: 'Wh', v: exported as number },
    ];
    await grid.publish(gridClient, encodeEnvelope(claims, records, makeSigner(grid)));
  }
  Object.assign(made.at(-1)!, { state: 'refused', code: 'CREDIT_INVALID', detail: '=1+1, "quoted"' });
  for (const row of made) rowOf.set(row.id, row);
  const rows = new CreditRows(store);
  const save = (changed: CertificateRow[]) => rows.write(changed.map(saveCertificate));
  await rows.write([...boundaries.map(saveBoundary), ...made.map(saveCertificate)]);
  const { point, pointId, device, startIdx, endIdx } = made[0]!;
  await rows.write([
    saveResidual({
      ...{ point, pointId, device, fromAt: SLOT + 6 * HOUR, untilAt: SLOT + 10 * HOUR, wh: 1500, month: null },
      ...{ startIdx, startWh: 1, endIdx, endWh: 1501, reason: 'gap', state: 'ready', code: null, detail: null },
      madeMs: 1,
    }),
  ]);

  // What the follower of the chain would write.
  let block = 100;
  const event = (part: number, values: Record<string, unknown>): SqlStatement => ({
    sql: `INSERT INTO credit_events (block, log_index, part, contract, event, tx, time, token, point, slot, version, wh, data)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    params: [
      ...[block, values.logIndex ?? 0, part, CREDITS, values.event, bytes(values.tx as string), SLOT + block],
      ...[values.token ?? null, values.point ?? null, values.slot ?? null, values.version ?? null, values.wh ?? null],
      JSON.stringify(values.data),
    ] as SqlStatement['params'],
  });
  const write = (statements: SqlStatement[]) => store.write({ name: 'test', statements });
  const addMint = async (device: TestDevice, first: number, count: number, owner: string, name: string) => {
    block++;
    const amounts = Array.from({ length: count }, (_, i) => rowOf.get(idOf(device, first + i))!.wh);
    const token = tokenOf(device);
    const data = {
      ...{ id: token, meteringPoint: commitment(device.sub), device: commitment(device.did), owner },
      ...{ firstSlot: SLOT + first * HOUR, minted: amounts.reduce((a, b) => a + b), debited: 0, amounts },
      ...{ startRegister: REGISTERS[first], endRegister: REGISTERS[first + count] },
    };
    const tx = hash(name);
    await write(
      amounts.map((wh, i) =>
        event(i, {
          ...{ event: 'Minted', tx, token: bytes(token), point: bytes(commitment(device.sub)), version: 0, wh, data },
          slot: SLOT + (first + i) * HOUR,
        }),
      ),
    );
    api?.wake();
  };
  const addClaim = async (device: TestDevice, slot: number, wh: number, name: string) => {
    block++;
    const token = tokenOf(device);
    const tx = hash(name);
    const single = { issuer: CREDITS, holder: OURS, topic: 1, id: token, value: wh, data: '0x' };
    const said = { holder: OURS, beneficiary: hash('somebody'), purpose: 1, wh, recipient: '' };
    await write([
      event(0, {
        ...{
          event: 'ClaimSingle',
          tx,
          token: bytes(token),
          point: bytes(commitment(device.sub)),
          slot,
          version: 0,
          wh,
        },
        ...{ data: single, logIndex: 1 },
      }),
      event(0, { event: 'Claimed', tx, data: said, logIndex: 2 }),
    ]);
    api?.wake();
  };
  const addWithdrawal = async (device: TestDevice) => {
    block++;
    const point = bytes(commitment(device.sub));
    const values = { event: 'Withdrawn', tx: hash('a withdrawal'), token: bytes(tokenOf(device)), point, slot: DAY };
    await write([event(0, { ...values, version: 1, wh: 1, data: {} })]);
    api?.wake();
  };
  const wallet: CreditWallet = {
    account: OURS,
    balanceOf: async (token) => balances.get(token) ?? 0n,
    claim: async (...args) => {
      calls.push(['claim', ...args]);
      return { hash: hash(`call ${calls.length}`), block: null };
    },
    claimResidual: async (...args) => {
      calls.push(['claimResidual', ...args]);
      return { hash: hash(`call ${calls.length}`), block: null };
    },
    withdraw: async (...args) => {
      calls.push(['withdraw', ...args]);
      return { hash: hash(`call ${calls.length}`), block: 7 };
    },
  };
  const anchorCovering: ApiParts['anchorCovering'] = (index) =>
    log.latest && log.latest.size > index
      ? {
          size: log.latest.size,
          hint: { chainId: 31_337, contract: `0x${'aa'.repeat(20)}`, transaction: hash('anchor'), block: 99 },
        }
      : undefined;
  const credits = certificateParts({
    ...{ rows, news: new CreditNews(store), log, entries, devices, gateway: GATEWAY, area: 'KR-50' },
    contract: () => ({ chainId: 31_337, credits: CREDITS }),
    wallet: () => wallet,
    anchorCovering,
    onItsWay: () => onItsWay,
    claiming: (point_, slot) => claiming.get(`${point_} ${slot}`) ?? 0,
    reissue: async (...args) => void calls.push(['reissue', ...args]),
    note: async (deed) => void deeds.push(deed),
    documents: creditDocuments({
      rows,
      news: new CreditNews(store),
      log,
      entries,
      devices,
      gateway: GATEWAY,
      anchorCovering,
    }),
  });
  api = new Api(
    {
      ...parts,
      credits,
      certificateSchema: certificateSchema(),
      anchors: () => [],
      failures: { tooMany: () => false, one: () => undefined },
      checks: { rows: { newest: undefined, from: () => [] } },
      witness: {},
      kinds: [],
    } as unknown as ApiParts,
    {
      ...{ host: '127.0.0.1', port: 0, tls: { host: '127.0.0.1', port: 0 }, maxEventStreams: 4, version: 'test' },
      ...{
        onReadersFull: () => undefined,
        onTooManyFailures: () => undefined,
        onError: (l) => gateway.lines.push(l),
      },
    },
  );
  const url = `http://127.0.0.1:${(await api.start()).port}`;
  onTestFinished(() => api.stop());
  await until(() => (log.latest?.size ?? 0) === log.size, 'a checkpoint over all of it');
  await addMint(plant, 0, 3, OURS, 'first mint');
  await addMint(other, 0, 1, THEIRS, 'a mint to others');
  balances.set(tokenOf(plant), 1203n);
  async function ask(path: string, init: { body?: object; role?: Role | null } = {}): Promise<Answer> {
    const { role = 'operator', body } = init;
    const answer = await fetch(url + path, {
      method: body ? 'POST' : 'GET',
      headers: {
        ...(role && { authorization: `Bearer ${await gateway.token(role)}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const json = /json/.test(answer.headers.get('content-type') ?? '');
    return {
      status: answer.status,
      headers: answer.headers,
      text,
      body: (json ? JSON.parse(text) : undefined) as never,
    };
  }
  const listed = async (query = ''): Promise<CertificateRowView[]> =>
    ((await ask(`/certificates${query}`)).body as { certificates: CertificateRowView[] }).certificates;
  return {
    gateway,
    url,
    plant,
    other,
    grid,
    ask,
    listed,
    addMint,
    addClaim,
    addWithdrawal,
    credits,
    save,
    rowOf,
    deeds,
    calls,
    balances,
    onItsWay,
    claiming,
  };
}
