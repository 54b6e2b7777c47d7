/** Each kind of cheat, run by firmware-sim beside honest devices, ends in quarantine under its own code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../support/cli.ts';
import { startTestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

type Summary = {
  sent: number;
  acked: number;
  buffered: number;
  refused: Record<string, number>;
  hostile: { sent: number; acked: number };
};
type QuarantineRow = { did: string; code: string; topic: string; cti: string | null };

for (const [scenario, codes] of [
  ['replay', ['REPLAY']],
  ['forged', ['SIGNATURE_INVALID']],
  ['equivocate', ['EQUIVOCATION']],
] as const)
  it(`${scenario} is refused as ${codes.join(', ')}, said on down/{did}/error and in a metric, and honest devices lose nothing`, async () => {
    const gateway = await startTestGateway();
    const folder = tempFolder();
    const acked = join(folder, 'acked.log');
    const { code, stdout, stderr } = await run(
      process.execPath,
      [
        'firmware-sim/main.ts',
        scenario,
        '--mqtt',
        gateway.info.mqtt,
        '--api',
        gateway.info.http,
        '--meters',
        '3',
        '--plants',
        '1',
        '--vehicles',
        '1',
      ].concat([
        '--every',
        '0.1',
        '--hostile-every',
        '0.3',
        '--for',
        '3',
        '--seed',
        '11',
        '--state',
        join(folder, 'sim'),
        '--acked',
        acked,
        '--quiet',
      ]),
      { env: { SEJONG_TOKEN: await gateway.token('operator') } },
    );
    expect(code, stderr).toBe(0);
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) as string) as Summary;
    expect(summary.buffered).toBe(0);
    expect(summary.hostile.sent).toBeGreaterThan(0);
    expect(summary.hostile.acked, 'what is refused is acknowledged too, or it would come again for ever').toBe(
      summary.hostile.sent,
    );
    expect(Object.keys(summary.refused).sort(), 'each refusal was heard on down/{did}/error').toEqual(codes);

    const { body } = await gateway.api('/quarantine?limit=1000');
    const { quarantine } = body as { quarantine: QuarantineRow[] };
    expect([...new Set(quarantine.map((q) => q.code))].sort()).toEqual(codes);
    expect(new Set(quarantine.map((q) => q.did)).size, 'one cheat, and nobody else').toBe(1);
    const metrics = (await gateway.api('/metrics')).text;
    for (const c of codes)
      expect(metrics).toMatch(new RegExp(`^sejong_edge_quarantined_total\\{code="${c}"\\} [1-9]`, 'm'));

    const truth = await gateway.finish();
    expect([...truth.quarantined.keys()].sort()).toEqual(codes);
    const told = readFileSync(acked, 'utf8').trim().split('\n');
    expect(told.length).toBe(summary.acked);
    expect(told.filter((line) => !truth.byHash.has(line.split(' ')[3] as string))).toEqual([]);
  });

it('flood: one device sends as fast as it can, and the others lose nothing', async () => {
  const gateway = await startTestGateway({ mqtt: { maxDeviceRate: 200 } });
  const folder = tempFolder();
  const acked = join(folder, 'acked.log');
  const { code, stdout, stderr } = await run(
    process.execPath,
    [
      'firmware-sim/main.ts',
      'flood',
      '--mqtt',
      gateway.info.mqtt,
      '--api',
      gateway.info.http,
      '--meters',
      '3',
      '--every',
      '0.1',
    ].concat(['--for', '3', '--seed', '12', '--state', join(folder, 'sim'), '--acked', acked, '--quiet']),
    { env: { SEJONG_TOKEN: await gateway.token('operator') } },
  );
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout.trim().split('\n').at(-1) as string)).toMatchObject({ buffered: 0, refused: {} });
  expect(gateway.parts.mqtt.counts.throttledMs, 'the flood was slowed').toBeGreaterThan(0);
  const truth = await gateway.finish();
  const told = readFileSync(acked, 'utf8').trim().split('\n');
  expect(told.filter((line) => !truth.byHash.has(line.split(' ')[3] as string))).toEqual([]);
});

it('outage and restart: buffers drain in order, across lost links and power cuts of the devices', async () => {
  const gateway = await startTestGateway();
  for (const scenario of ['outage', 'restart']) {
    const folder = tempFolder();
    const { code, stdout, stderr } = await run(
      process.execPath,
      [
        'firmware-sim/main.ts',
        scenario,
        '--mqtt',
        gateway.info.mqtt,
        '--api',
        gateway.info.http,
        '--meters',
        '3',
        '--plants',
        '1',
        '--p256-every',
        '2',
      ].concat([
        '--every',
        '0.1',
        '--for',
        '4',
        '--away',
        '1',
        '--seed',
        scenario.length.toString(),
        '--state',
        join(folder, 'sim'),
        '--quiet',
      ]),
      { env: { SEJONG_TOKEN: await gateway.token('operator') } },
    );
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout.trim().split('\n').at(-1) as string)).toMatchObject({ buffered: 0, refused: {} });
  }
  for (const device of gateway.parts.devices.list()) expect(device.counter.gaps, device.did).toEqual([]);
  const truth = await gateway.finish();
  expect(truth.quarantined.size).toBe(0);
  expect(truth.entries).toBeGreaterThan(100);
});
