/** What a newcomer runs, as the README says it, and the proof that remains when it is switched off. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { expect, it } from 'vitest';
import { AnchorsContract, firstContractAddress } from '../../edge/chain/contract.ts';
import { EmbeddedChain } from '../../edge/chain/embedded.ts';
import { rpcClient } from '../../edge/chain/rpc.ts';
import { makeConfig } from '../../edge/config.ts';
import { openIdentity } from '../../edge/identity.ts';
import type { RunInfo } from '../../edge/run-info.ts';
import { edge, start } from '../support/cli.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkAnchors, wholeTruth } from '../support/whole-truth.ts';

type Result = {
  entries: number;
  quarantined: number;
  devices: number;
  checkpointSize: number;
  anchoredSize: number;
  anchors: number;
  serialEntries: number;
  serialByDriver: Record<string, number>;
  acked: number;
  ackedButMissing: number;
  checks: Record<string, number>;
};

const npmStart = (data: string, ...more: string[]) =>
  start('npm', [
    'start',
    '--silent',
    '--',
    '--data',
    data,
    '--mqtt',
    '0',
    '--http',
    '0',
    '--seed',
    '5',
    '--every',
    '0.5',
    '--flows',
    '0',
    ...more,
  ]);

/** Processes that name the data folder: none may be left behind. */
const processesOf = (data: string): string[] =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(data) && !line.startsWith('ps '));

it('npm start shows meters, plants, vehicles and the serial inverter in the log, anchors it, and proves a reading afterwards', {
  timeout: 200_000,
}, async () => {
  const data = join(tempFolder(), 'data');
  const first = npmStart(data, '--for', '40');
  await first.line(/^\d\d:\d\d:\d\d {2}http /);
  const info = JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as RunInfo;
  await first.line(/^\d\d:\d\d:\d\d {2}anchor {2}(?!1 )[\d,]+ entries/);

  // Node-RED comes when there are readings, behind a login of its own, and /health says where it is.
  const editor = await first.line(/^\d\d:\d\d:\d\d {2}flows {3}http:\S+ {3}Node-RED /);
  expect(first.lines.indexOf(editor)).toBeGreaterThan(first.lines.findIndex((l) => /^\S+ {2}devices /.test(l)));
  const flowsUrl = /http:\S+/.exec(editor)?.[0] as string;
  expect((await fetch(new URL('/flows', flowsUrl))).status).toBe(401);
  expect(editor).toContain(join(data, 'flows', 'password'));
  expect(await (await fetch(`${info.http}/health`)).json()).toMatchObject({
    parts: { flows: { ok: true, detail: expect.stringContaining(flowsUrl) } },
  });

  // An auditor picks readings, of every kind, while it runs.
  const token = (await edge(['token', '--role', 'viewer', '--data', data])).stdout.trim();
  const get = (path: string): Promise<string> =>
    fetch(info.http + path, { headers: { authorization: `Bearer ${token}` } }).then((r) =>
      r.ok ? r.text() : Promise.reject(new Error(`${path}: ${r.status}`)),
    );
  const { entries } = JSON.parse(await get('/entries?limit=500')) as {
    entries: { index: number; did: string; kind: string; custody: string }[];
  };
  const kinds = new Map(entries.map((e) => [e.kind, e]));
  expect([...kinds.keys()].sort()).toEqual(
    expect.arrayContaining(['gateway', 'inverter', 'meter', 'plant', 'vehicle']),
  );
  expect(kinds.get('inverter')?.custody).toBe('gateway');
  const p256 = entries.filter((e) => e.did.startsWith('did:key:zDn'));
  expect(p256.map((e) => e.kind)).toEqual(expect.arrayContaining(['plant', 'vehicle']));
  const ofP256 = p256[0]?.index as number;
  const receipt = join(data, 'receipt.json');
  const proof = join(data, 'receipt.tlog-proof');
  writeFileSync(receipt, await get('/entries/1/receipt'));
  await until(() => get(`/entries/${ofP256}/receipt`).then(Boolean, () => false), 'a checkpoint covers it');
  writeFileSync(proof, await get(`/entries/${ofP256}/receipt?format=tlog-proof`));
  // Vehicles and households are sealed, and he was shown what these two say; plants are in the open.
  const openings = new Map<string, string[]>();
  for (const [file, index] of [
    [receipt, 1],
    [proof, ofP256],
  ] as const) {
    const isSealed = ['meter', 'vehicle'].includes(entries.find((e) => e.index === index)?.kind ?? '');
    openings.set(file, isSealed ? ['--opening', `${file}.opening`] : []);
    if (isSealed) writeFileSync(`${file}.opening`, await get(`/entries/${index}/opening`));
  }
  const key = await get('/log/key');

  await first.line(/^\{"entries"/);
  expect(await first.stop('SIGCONT')).toBe(0);
  const result = JSON.parse(first.lines.at(-1) as string) as Result;
  expect(result.ackedButMissing).toBe(0);
  expect(result.anchors).toBeGreaterThanOrEqual(3);
  expect(result.anchoredSize).toBeGreaterThanOrEqual(0.9 * result.entries);
  // Six drivers over ttys, each with something in the log.
  expect(Object.keys(result.serialByDriver).sort()).toEqual(['dlms', 'modbus', 'nmea', 'obd', 'p1', 'sunspec']);
  for (const [driver, entries] of Object.entries(result.serialByDriver)) expect(entries, driver).toBeGreaterThan(0);
  expect(result.serialEntries).toBe(Object.values(result.serialByDriver).reduce((sum, n) => sum + n, 0));
  expect(result.devices).toBeGreaterThanOrEqual(12 + 4 + 6 + 1);
  expect(result.acked).toBeGreaterThan(100);
  // At the gate most vehicles pass, and of the bad ones each is caught with the reason that it must have.
  const { ALLOW = 0, REVIEW = 0, DENY = 0 } = result.checks;
  expect([REVIEW, DENY].every((n) => n > 0) && ALLOW > REVIEW + DENY, JSON.stringify(result.checks)).toBe(true);
  expect(first.lines.filter((line) => /^\d\d:\d\d:\d\d {2}check .* WAS EXPECTED/.test(line))).toEqual([]);
  expect(first.lines.some((line) => /^\d\d:\d\d:\d\d {2}check {3}DENY REVOKED: /.test(line))).toBe(true);
  expect(processesOf(data)).toEqual([]);
  const truth = wholeTruth(data, { verifyOneIn: 10 });
  expect(truth.entries).toBe(result.entries);
  expect([...truth.quarantined.keys()].sort()).toEqual(['EQUIVOCATION', 'REPLAY', 'SIGNATURE_INVALID']);

  // With the gateway off: the receipt against the log's key, and against the chain as it was saved.
  const chain = await EmbeddedChain.start(join(data, 'chain'), 0, () => undefined);
  try {
    const contract = firstContractAddress(
      privateKeyToAddress(toHex(openIdentity(makeConfig({ dataFolder: data })).anchorKey)),
    );
    for (const [file, signer] of [
      [receipt, /did:key:z/],
      [proof, /did:key:zDn/],
    ] as const) {
      const { code, stdout } = await edge([
        'verify',
        file,
        ...(openings.get(file) ?? []),
        '--key',
        key.trim(),
        '--rpc',
        chain.rpc,
        '--anchors',
        contract,
      ]);
      expect(code, stdout).toBe(0);
      expect(stdout).toMatch(/^ok {4}anchored root /m);
      expect(stdout.match(/^ok {4}device signature {6}by (.*)$/m)?.[1]).toMatch(signer);
    }
    expect(await checkAnchors(data, new AnchorsContract(rpcClient(chain.rpc), contract))).toBeGreaterThanOrEqual(3);
  } finally {
    await chain.stop();
  }

  // A second start continues the same log, chain and devices; Ctrl-C stops all of it.
  const second = npmStart(data);
  await second.line(/continued at [\d,]+ entries/);
  await second.line(/^\d\d:\d\d:\d\d {2}entries [\d,]+ \(\+[1-9]/);
  // A crash: it is started again, devices and chain with it, and goes on.
  const pid = (): number => (JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as RunInfo).pid;
  process.kill(pid(), 'SIGKILL');
  await second.line(/^supervisor: the gateway has ended by signal 9; started again in 1 s/);
  const seen = second.lines.length;
  await until(
    () => second.lines.slice(seen).some((line) => /^\d\d:\d\d:\d\d {2}entries [\d,]+ \(\+[1-9]/.test(line)),
    'it goes on',
    60_000,
  );
  process.kill(second.child.pid as number, 'SIGINT'); // npm, as from outside; a terminal would tell all of them
  process.kill(pid(), 'SIGINT');
  await second.line(/^\{"entries"/);
  await second.stop('SIGCONT');
  const again = JSON.parse(second.lines.at(-1) as string) as Result;
  expect(again).toMatchObject({ devices: result.devices, ackedButMissing: 0 });
  expect(again.entries).toBeGreaterThan(result.entries);
  expect(again.anchors).toBeGreaterThan(result.anchors);
  expect(processesOf(data)).toEqual([]);
  wholeTruth(data, { verifyOneIn: 10 });
});
