/** Killed in the middle of forgetting: nothing is gone, or all can be read no more; the next start ends what was begun. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { edge, start } from '../support/cli.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

const N = 60;

async function makeLog(): Promise<{ dataFolder: string; car: TestDevice }> {
  const gateway = await startTestGateway();
  const [car, other] = [
    await new TestDevice('car', 'vehicle').enrol(gateway),
    await new TestDevice('other', 'meter').enrol(gateway),
  ];
  const records = (i: number) => [{ n: 'Vehicle.Speed', u: 'km/h', v: i }];
  await Promise.all(
    Array.from({ length: 2 * N }, (_, i) => {
      const [device, envelope] = i % 2 ? [other, other.envelope()] : [car, car.envelope({ records: records(i) })];
      return gateway.parts.accept.offer(envelope, { did: device.did, topic: 'test' });
    }),
  );
  await gateway.finish({ verifyOneIn: 100 });
  return { dataFolder: gateway.config.dataFolder, car };
}

const secretsIn = (dataFolder: string): Buffer[] => {
  const db = new Database(join(dataFolder, 'edge.db'), { readonly: true });
  const secrets = db.prepare<[], Buffer>('SELECT secret FROM content_keys ORDER BY id').pluck().all();
  db.close();
  return secrets;
};

for (const [fault, begun] of [
  ['append.before=kill@1', false],
  ['append.after=kill@1', true],
  ['forget.begun=kill@1', true],
  ['forget.before=kill@1', true],
  ['forget.step=kill@1', true],
  ['forget.after=kill@2', true],
  ['forget.before=kill@3', true],
] as const)
  it(`at ${fault} leaves ${begun ? 'nothing to read' : 'all there'}, and is whole after the next start`, async () => {
    const { dataFolder, car } = await makeLog();
    const [secret, kept] = secretsIn(dataFolder) as [Buffer, Buffer];
    const config = join(tempFolder(), 'edge.yaml');
    writeFileSync(
      config,
      `dataFolder: ${dataFolder}\nmqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\nclock: {source: synced}\n`,
    );
    const args = ['edge/main.ts', 'run', '--config', config];
    const forget = () => edge(['forget', '--config', config, '--subject', car.sub, '--yes', '--json']);
    const killed = start(process.execPath, args, { env: { SEJONG_EDGE_FAULTS: fault } });
    await killed.line(/"msg":"ready"/);
    expect((await forget()).code).not.toBe(0);
    await until(() => killed.child.signalCode === 'SIGKILL', `killed at ${fault}`);
    const between = wholeTruth(dataFolder, { verifyOneIn: 100 });
    expect(between.forgotten.size).toBe(begun ? N : 0);
    expect(between.entries).toBe(1 + 2 * N + (begun ? 2 : 0));

    const again = start(process.execPath, args);
    const info = JSON.parse(await again.line(/"msg":"ready"/)) as { http: string };
    const pending = async (): Promise<boolean> =>
      /^sejong_edge_forget_pending 1$/m.test(await (await fetch(`${info.http}/metrics`)).text());
    await until(async () => !(await pending()), 'what was begun is ended');
    const { code, stdout } = await forget();
    expect([code, (JSON.parse(stdout) as { tombstone: number | null }).tombstone === null]).toEqual([0, begun]);
    // With the gateway up: a clean stop would empty the write-ahead log by itself.
    const files = ['edge.db', 'edge.db-wal'].map((name) => readFileSync(join(dataFolder, name), 'latin1')).join('|');
    expect([files.includes(secret.toString('latin1')), files.includes(kept.toString('latin1'))]).toEqual([false, true]);
    await again.stop();
    const truth = wholeTruth(dataFolder, { verifyOneIn: 100 });
    expect([truth.forgotten.size, truth.sealed, truth.entries]).toEqual([N, N, 2 * N + 3]);
  });
