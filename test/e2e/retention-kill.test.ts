/** Killed in the middle of forgetting: what was to go is whole or gone, and nothing is gone that no entry speaks of. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { start } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

const records = [
  { n: 'Vehicle.Speed', u: 'km/h', v: 30 },
  { n: 'Vehicle.CurrentLocation.Latitude', v: 36.48 },
];

/** A log of one car and one meter with one full tile, under a checkpoint. */
async function makeLog(): Promise<string> {
  const gateway: TestGateway = await startTestGateway({ clock: { source: 'synced' } });
  const [car, meter] = [
    await new TestDevice('car', 'vehicle').enrol(gateway),
    await new TestDevice('meter').enrol(gateway),
  ];
  await Promise.all(
    Array.from({ length: 300 }, (_, i) => {
      const [device, envelope] = i % 10 === 0 ? [meter, meter.envelope()] : [car, car.envelope({ records })];
      return gateway.parts.accept.offer(envelope, { did: device.did, topic: 'test' });
    }),
  );
  await gateway.finish({ verifyOneIn: 100 });
  return gateway.config.dataFolder;
}

const PRUNE = 'retention: {days: 0.000000001}';
// The file is larger than this already: there is no room at all, and what says what was thinned must find some.
const THIN = 'retention: {maxBytes: 150000, reserveBytes: 65536}';

for (const [retention, fault, gone] of [
  [PRUNE, 'prune.before=kill@1', 0],
  [PRUNE, 'prune.after=kill@1', 255],
  [THIN, 'thin.planned=kill@1', 0],
  [THIN, 'append.after=kill@1', 229],
] as const)
  it(`at ${fault} leaves ${gone === 0 ? 'all payloads' : 'what was said'}, and the next start ends what was begun`, async () => {
    const dataFolder = await makeLog();
    const config = join(tempFolder(), 'edge.yaml');
    writeFileSync(
      config,
      `dataFolder: ${dataFolder}\nmqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\nclock: {source: synced}\n${retention}\n`,
    );
    const args = ['edge/main.ts', 'run', '--config', config];
    const killed = start(process.execPath, args, { env: { SEJONG_EDGE_FAULTS: fault } });
    await until(() => killed.child.signalCode === 'SIGKILL', `killed at ${fault}`);
    const between = wholeTruth(dataFolder, { verifyOneIn: 100 });
    expect(between.pruned.size).toBe(gone);
    expect(between.gaps.length > 0).toBe(retention === THIN && gone > 0);

    const again = start(process.execPath, args);
    const info = JSON.parse(await again.line(/"msg":"ready"/)) as { http: string };
    await until(
      async () => (await (await fetch(`${info.http}/log/minimum-index`)).text()) === '256\n',
      'all is done that was to be done',
    );
    await again.stop();
    const { pruned, gaps } = wholeTruth(dataFolder, { verifyOneIn: 100 });
    expect(pruned.size).toBe(retention === PRUNE ? 255 : 229);
    expect(gaps.length).toBe(retention === PRUNE ? 0 : 1);
  });
