import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Hex, toHex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { localToken } from '../../edge/commands/local.ts';
import { makeConfig } from '../../edge/config.ts';
import { openIdentity } from '../../edge/identity.ts';
import type { RunInfo } from '../../edge/run-info.ts';
import { processesWith } from '../support/anvil.ts';
import { connectMqtt, startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkAnchors, wholeTruth } from '../support/whole-truth.ts';
import {
  allAnchored,
  chainState,
  contractOf,
  FAST,
  healthOf,
  line,
  linesOf,
  Meter,
  metric,
  rows,
  STILL,
} from './rig.ts';

const start = (dataFolder = tempFolder(), over: object = {}): Promise<TestGateway> =>
  startTestGateway({ dataFolder, log: STILL, chain: { mode: 'embedded', ...FAST, ...over } });

const stateOf = (dataFolder: string): string => join(dataFolder, 'chain', 'anvil-state.json');
/** The shell that guards it has the path in its command line too. */
const anvils = (dataFolder: string): number[] => processesWith(stateOf(dataFolder));
const anvilItself = (dataFolder: string): number =>
  anvils(dataFolder).find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'anvil') as number;

/** Transactions that the gateway's account has ever sent on the chain that runs now. */
const sentBy = (gateway: TestGateway): Promise<number> =>
  contractOf(gateway).client.getTransactionCount({ address: chainState(gateway).sender as Hex });

/** The end of each test: roots on the chain while it runs, then the whole truth, and nobody left behind. */
async function finish(gateway: TestGateway): Promise<void> {
  const { dataFolder } = gateway.config;
  await checkAnchors(dataFolder, contractOf(gateway));
  await gateway.finish();
  expect(anvils(dataFolder), 'anvil left behind').toEqual([]);
}

describe('the embedded chain', () => {
  it('gets its contract, takes the roots of the rebuilt tree, each under 80,000 gas, and goes on after a restart', async () => {
    const first = await start();
    const { dataFolder } = first.config;
    const meter = await Meter.at(first);
    await allAnchored(first);
    // Sizes with and without a common subtree: proofs of several lengths.
    for (const count of [1, 1, 5, 9]) {
      await meter.send(count);
      await allAnchored(first);
    }
    const anchors = rows(first);
    expect(anchors.map((r) => r.size)).toEqual([1, 2, 3, 8, 17]);
    for (const { status, gasUsed, hashes } of anchors) {
      expect(status).toBe('confirmed');
      expect(hashes).toHaveLength(1);
      expect(gasUsed).toBeGreaterThan(21_000);
      expect(gasUsed).toBeLessThan(80_000);
    }
    expect(await sentBy(first)).toBe(2 + anchors.length);
    expect(JSON.parse(readFileSync(join(dataFolder, 'run.json'), 'utf8'))).toMatchObject({
      rpc: first.info.rpc,
      anchors: chainState(first).contract,
    });
    const health = await healthOf(first);
    expect(health.parts.chain).toEqual({
      ok: true,
      detail: `17 entries anchored at ${first.info.anchors} on chain 31337`,
    });
    expect(await metric(first, 'anchored_size')).toBe(17);
    expect(await metric(first, 'chain_reachable')).toBe(1);
    await finish(first);

    const second = await start(dataFolder);
    await allAnchored(second);
    expect(second.info.anchors).toBe(first.info.anchors);
    expect(await sentBy(second), 'no second deploy, no second register').toBe(2 + anchors.length);
    await (await Meter.at(second, meter.device)).send(3);
    await allAnchored(second);
    expect(rows(second).map((r) => r.size)).toEqual([1, 2, 3, 8, 17, 20]);
    expect(await sentBy(second)).toBe(2 + 6);
    expect(linesOf(second, /taken back|gone|set aside/)).toEqual([]);
    await finish(second);
  });

  it('ends with the gateway when that is killed, and the next start goes on with both', async () => {
    const dataFolder = tempFolder();
    const config = {
      dataFolder,
      mqtt: { port: 0 },
      http: { port: 0 },
      log: { checkpointSeconds: 0.2 },
      chain: { mode: 'embedded', ...FAST },
    };
    const path = join(dataFolder, 'edge.yaml');
    writeFileSync(path, JSON.stringify(config));
    const child = spawn(process.execPath, ['edge/main.ts', 'run', '--config', path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const info = await ready(child);
    const token = await localToken(makeConfig(config), 'test', 'operator', 600);
    const ask = (at: string, init: RequestInit = {}): Promise<Response> =>
      fetch(info.http + at, {
        ...init,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      });
    const { did, sub, kind, ...device } = new TestDevice('000123');
    await ask('/devices', { method: 'POST', body: JSON.stringify({ did, sub, kind, custody: 'device' }) });
    const own = Object.assign(new TestDevice('000123'), device);
    const client = await connectMqtt({ info }, did, own.jwt(info.origin));
    for (let i = 0; i < 4; i++) await own.publish(client, own.envelope());
    await until(
      async () => /^sejong_edge_anchored_size 6$/m.test(await (await ask('/metrics')).text()),
      'six entries anchored',
    );
    const anvil = anvilItself(dataFolder);
    expect(anvil).toBeGreaterThan(0);

    child.kill('SIGKILL');
    await once(child, 'exit');
    await until(() => anvils(dataFolder).length === 0, 'anvil ends');

    const next = await start(dataFolder);
    expect(next.info.anchors).toBe(info.anchors);
    await (await Meter.at(next, own)).send(2);
    await allAnchored(next);
    expect(rows(next).map((r) => [r.size, r.status])).toEqual([
      ...rows(next)
        .slice(0, -1)
        .map((r) => [r.size, 'confirmed']),
      [8, 'confirmed'],
    ]);
    expect(linesOf(next, /taken back|gone|set aside/), 'anvil had saved its state').toEqual([]);
    expect(await sentBy(next)).toBe(2 + rows(next).length);
    await finish(next);
  });

  it('begins anew where its state is torn, empty or garbage: set aside, said, and every root is anchored again', async () => {
    let gateway = await start();
    const { dataFolder } = gateway.config;
    const state = stateOf(dataFolder);
    const { device } = await grow(gateway, await Meter.at(gateway));
    await finish(gateway);
    const whole = join(dataFolder, 'whole.json');
    copyFileSync(state, whole);
    const half = readFileSync(whole).subarray(0, statSync(whole).size / 2);
    for (const [i, damaged] of [half, Buffer.alloc(0), Buffer.from('\u0000garbage')].entries()) {
      writeFileSync(state, damaged);
      gateway = await start(dataFolder);
      expect(linesOf(gateway, 'set aside')).toEqual([
        expect.stringMatching(
          /^chain: anvil ended with code 2: .*; its state is set aside as \S+damaged\S+, a new chain begins$/,
        ),
      ]);
      const aside = readdirSync(join(dataFolder, 'chain')).filter((name) => name.includes('.damaged-'));
      expect(aside).toHaveLength(i + 1);
      expect(linesOf(gateway, 'that were final are gone; sent again')).toHaveLength(1);
      await (await Meter.at(gateway, device)).send();
      await allAnchored(gateway);
      expect(await checkAnchors(dataFolder, contractOf(gateway)), 'old roots and new').toBe(rows(gateway).length);
      expect(rows(gateway).every((r) => r.status === 'confirmed')).toBe(true);
      await finish(gateway);
    }
    expect(existsSync(state)).toBe(true);
  });

  it('keeps its state, and says so in one line, where it is the port that is in the way', async () => {
    const gateway = await start();
    const { dataFolder } = gateway.config;
    await allAnchored(gateway);
    await finish(gateway);
    const state = readFileSync(stateOf(dataFolder));
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void taken.close());
    const embeddedPort = (taken.address() as { port: number }).port;
    const refused = start(dataFolder, { embeddedPort });
    await expect(refused).rejects.toMatchObject({ code: 'CHAIN_PROGRAM', line: expect.stringContaining('in use') });
    await expect(refused).rejects.toMatchObject({ line: expect.not.stringContaining('\n') });
    expect(readdirSync(join(dataFolder, 'chain'))).toEqual(['anvil-state.json']);
    expect(readFileSync(stateOf(dataFolder)).equals(state)).toBe(true);
    expect(anvils(dataFolder)).toEqual([]);
    wholeTruth(dataFolder);
  });

  it('is started again on its port when anvil dies; intake goes on, and what the chain forgot is sent again', async () => {
    const gateway = await start();
    const { dataFolder } = gateway.config;
    const meter = await grow(gateway, await Meter.at(gateway));
    const { rpc } = chainState(gateway);
    process.kill(anvilItself(dataFolder), 'SIGKILL');
    await line(gateway, 'CHAIN_AWAY');
    await meter.send(3);
    const health = await healthOf(gateway);
    expect(health).toMatchObject({ status: 'degraded', parts: { chain: { ok: false }, log: { ok: true } } });
    expect(health.parts.chain?.detail).toContain('CHAIN_AWAY');
    expect(await metric(gateway, 'chain_reachable')).toBe(0);
    await line(gateway, 'chain: all is well again');
    await allAnchored(gateway);
    await until(() => rows(gateway).every((r) => r.status === 'confirmed'), 'all anchors are final again');
    expect(chainState(gateway).rpc).toBe(rpc);
    expect(linesOf(gateway, 'anvil has ended')).toHaveLength(1);
    expect(linesOf(gateway, /^CHAIN_AWAY/)).toHaveLength(1);
    expect(linesOf(gateway, 'registry: CHAIN_AWAY').length).toBeLessThan(2);
    expect(await checkAnchors(dataFolder, contractOf(gateway))).toBe(rows(gateway).length);
    expect(await sentBy(gateway)).toBe(2 + rows(gateway).length);
    await finish(gateway);
  });

  it('is the account of the keys in the data folder that anchors', async () => {
    const gateway = await start();
    await allAnchored(gateway);
    const { anchorKey } = openIdentity(gateway.config);
    expect(chainState(gateway).sender).toBe(privateKeyToAddress(toHex(anchorKey)));
    expect(await contractOf(gateway).senderOf(gateway.info.origin)).toBe(chainState(gateway).sender);
    expect(await contractOf(gateway).owner()).toBe(chainState(gateway).sender);
    await finish(gateway);
  });
});

/** Two anchors more. */
async function grow(gateway: TestGateway, meter: Meter): Promise<Meter> {
  for (const count of [2, 3]) {
    await meter.send(count);
    await allAnchored(gateway);
  }
  return meter;
}

async function ready(child: ChildProcess): Promise<RunInfo> {
  const output = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  for await (const text of output) {
    const said = JSON.parse(text) as RunInfo & { msg: string };
    if (said.msg === 'ready') return said;
  }
  throw new Error('the gateway ended before it was ready');
}
