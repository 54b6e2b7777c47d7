/**
 * The promise under a power cut: the gateway is killed with SIGKILL again and again at random moments under load,
 * and nothing that it acknowledged may be missing, twice, or different.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { expect, it, onTestFinished } from 'vitest';
import { AnchorsContract } from '../../edge/chain/contract.ts';
import { deployContract } from '../../edge/chain/deploy.ts';
import { EMBEDDED_CHAIN_ID, EmbeddedChain } from '../../edge/chain/embedded.ts';
import { rpcClient } from '../../edge/chain/rpc.ts';
import { localToken } from '../../edge/commands/local.ts';
import { loadConfig } from '../../edge/config.ts';
import { openIdentity } from '../../edge/identity.ts';
import { openCheckpoint, parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { start } from '../support/cli.ts';
import { tempFolder } from '../support/temp.ts';
import { checkAnchors, PlainTree, wholeTruth } from '../support/whole-truth.ts';

const KILLS = 20;
const SEED = 20_201_124;

/** A small generator with a seed (mulberry32): the moments of the kills can be had again. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Two ports that were free a moment ago: the devices must find the gateway again at the same place. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports = await Promise.all(
    servers.map(
      (s) =>
        new Promise<number>((resolve) =>
          s.listen(0, '127.0.0.1', () => resolve((s.address() as { port: number }).port)),
        ),
    ),
  );
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return ports as [number, number];
}

it(`survives SIGKILL at ${KILLS} random moments under load: all that was acknowledged is in the log, once`, {
  timeout: 280_000,
}, async () => {
  const folder = tempFolder();
  const data = join(folder, 'data');
  const config = join(folder, 'edge.yaml');
  const [mqttPort, httpPort] = await freePorts();

  // A chain that outlives the gateway, so that what was anchored before each kill is still there to compare.
  const chain = await EmbeddedChain.start(join(folder, 'chain'), 0, () => undefined);
  onTestFinished(() => chain.stop());
  const text = (anchors: string): string =>
    `dataFolder: ${data}\nmqtt: {port: ${mqttPort}}\nhttp: {port: ${httpPort}}\nlog: {checkpointSeconds: 0.3}\n` +
    `chain: {mode: rpc, rpc: "${chain.rpc}", chainId: ${EMBEDDED_CHAIN_ID}, anchors: "${anchors}", everySeconds: 1, pollSeconds: 0.2, confirmations: 1}\n`;
  writeFileSync(config, text(''));
  const account = privateKeyToAccount(toHex(openIdentity(loadConfig(config)).anchorKey));
  const client = rpcClient(chain.rpc);
  await client.request({ method: 'anvil_setBalance', params: [account.address, '0xde0b6b3a7640000'] } as never);
  const origin = loadConfig(config).log.origin;
  const address = await deployContract(chain.rpc, EMBEDDED_CHAIN_ID, account, origin, () => undefined);
  writeFileSync(config, text(address));

  const run = () => start(process.execPath, ['edge/main.ts', 'run', '--config', config]);
  let gateway = run();
  await gateway.line(/"msg":"ready"/);

  const acked = join(folder, 'acked.log');
  const token = await localToken(loadConfig(config), 'test', 'operator', 3600);
  const sim = start(
    process.execPath,
    [
      'firmware-sim/main.ts',
      'steady',
      '--mqtt',
      `mqtt://127.0.0.1:${mqttPort}`,
      '--api',
      `http://127.0.0.1:${httpPort}`,
      '--origin',
      origin,
    ].concat(
      [
        '--meters',
        '8',
        '--plants',
        '2',
        '--vehicles',
        '2',
        '--every',
        '0.02',
        '--window',
        '32',
        '--seed',
        '7',
        '--drain',
        '60',
      ],
      ['--state', join(folder, 'sim'), '--acked', acked],
    ),
    { env: { SEJONG_TOKEN: token } },
  );

  // Every checkpoint that anybody could have seen, kept as an auditor would.
  const seen = new Map<number, string>();
  let watching = true;
  const watch = (async () => {
    while (watching) {
      const note = await fetch(`http://127.0.0.1:${httpPort}/log/checkpoint`).then(
        (r) => (r.ok ? r.text() : ''),
        () => '',
      );
      const size = Number(note.split('\n')[1] ?? 0);
      if (size > 0) {
        expect(seen.get(size) ?? note, `two checkpoints of size ${size}`).toBe(note);
        seen.set(size, note);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();

  const next = random(SEED);
  const size = (): number => {
    try {
      const db = new Database(join(data, 'edge.db'), { readonly: true });
      const n = db.prepare('SELECT count(*) FROM entries').pluck().get() as number;
      db.close();
      return n;
    } catch {
      return 0;
    }
  };
  /** Load is the point: entries come in again before most kills, however slow the machine. */
  const grows = async (by: number): Promise<void> => {
    const goal = size() + by;
    for (const end = Date.now() + 30_000; size() < goal; ) {
      if (Date.now() > end) throw new Error(`no ${by} more entries within 30 s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await grows(300);
  for (let kill = 0; kill < KILLS; kill++) {
    // At some moment of its work; now and then during the start itself.
    await new Promise((resolve) => setTimeout(resolve, next() * 700));
    await gateway.stop('SIGKILL');
    gateway = run();
    if (next() < 0.8) {
      await gateway.line(/"msg":"ready"/);
      await grows(20);
    }
  }
  await gateway.line(/"msg":"ready"/);
  const before = size();

  // The devices stop measuring and drain what they hold.
  sim.child.kill('SIGTERM');
  await sim.stop();
  watching = false;
  await watch;
  const summary = JSON.parse(sim.lines.at(-1) as string) as { acked: number; buffered: number };
  // A clean stop of the simulator may leave envelopes in its journals: they go out in a last run.
  if (summary.buffered > 0) {
    const rest = start(
      process.execPath,
      [
        'firmware-sim/main.ts',
        'steady',
        '--mqtt',
        `mqtt://127.0.0.1:${mqttPort}`,
        '--no-enroll',
        '--origin',
        origin,
      ].concat(
        [
          '--meters',
          '8',
          '--plants',
          '2',
          '--vehicles',
          '2',
          '--every',
          '0.2',
          '--seed',
          '7',
          '--for',
          '1',
          '--drain',
          '60',
        ],
        ['--state', join(folder, 'sim'), '--acked', acked],
      ),
    );
    expect(await rest.stop('SIGCONT'), rest.lines.slice(-5).join('\n')).toBe(0);
    expect(JSON.parse(rest.lines.at(-1) as string)).toMatchObject({ buffered: 0 });
  }
  expect(await gateway.stop('SIGTERM')).toBe(0);
  expect(before).toBeGreaterThan(500);

  // The whole truth: entries, signatures, checkpoints in the store ...
  const truth = wholeTruth(data, { verifyOneIn: 20 });
  expect(truth.quarantined.size, 'honest devices are never refused').toBe(0);
  // ... what the devices were told ...
  let count = 0;
  const missing: string[] = [];
  for (const line of readFileSync(acked, 'utf8').split('\n').slice(0, -1)) {
    count++;
    const hash = line.split(' ')[3] as string;
    if (!truth.byHash.has(hash)) missing.push(line);
  }
  expect(missing).toEqual([]);
  expect(count).toBeGreaterThan(500);
  expect(truth.entries).toBeGreaterThanOrEqual(count);
  // ... every checkpoint that was ever seen ...
  const db = new Database(join(data, 'edge.db'), { readonly: true });
  const tree = new PlainTree();
  const key = parseVerifierKey(
    (await import('../../edge/wire/envelope.ts')).decodeEnvelope(
      new Uint8Array(db.prepare('SELECT envelope FROM entries WHERE idx = 0').pluck().get() as Buffer),
    ).records[1]?.vs as string,
  );
  for (const { envelope } of db
    .prepare<[], { envelope: Uint8Array }>('SELECT envelope FROM entries ORDER BY idx')
    .iterate()) {
    tree.add(envelope);
    const note = seen.get(tree.size);
    if (!note) continue;
    expect(Buffer.from(openCheckpoint(note, key).root).equals(tree.root()), `checkpoint of ${tree.size}`).toBe(true);
    seen.delete(tree.size);
  }
  db.close();
  expect([...seen.keys()], 'checkpoints beyond the log').toEqual([]);
  // ... and every root on the chain.
  expect(await checkAnchors(data, new AnchorsContract(client, address))).toBeGreaterThan(1);
});
