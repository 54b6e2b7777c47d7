/** A damaged database costs no person, no device, and nothing that was acknowledged and can be read. */
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { MqttClient } from 'mqtt';
import { describe, expect, it } from 'vitest';
import { countMissing } from '../../edge/commands/district.ts';
import { openSalvaged } from '../../edge/log/salvage.ts';
import type { RunInfo } from '../../edge/run-info.ts';
import { asidesOf } from '../../edge/store/aside.ts';
import { verifyReceipt } from '../../edge/verify.ts';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { allAnchored, City, healthOf, linesOf, Meter, metric, rows, STILL } from '../chain/rig.ts';
import { ORIGIN } from '../support/anvil.ts';
import { edge, ROOT, start } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkAnchors, wholeTruth } from '../support/whole-truth.ts';
import { harm } from './harm.ts';

const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A gateway in a process of its own, which a SIGKILL ends as a power cut does. */
async function child(dataFolder: string, chain: object, faults = '') {
  const config = join(tempFolder(), 'edge.yaml');
  const values = { dataFolder, mqtt: { port: 0 }, http: { port: 0 }, log: STILL, chain };
  writeFileSync(config, JSON.stringify(values));
  const running = start(process.execPath, ['edge/main.ts', 'run', '--config', config], {
    cwd: ROOT,
    env: { SEJONG_EDGE_FAULTS: faults },
  });
  return {
    ...running,
    ready: async (): Promise<{ info: RunInfo }> => {
      await running.line(/"msg":"ready"/);
      return { info: JSON.parse(readFileSync(join(dataFolder, 'run.json'), 'utf8')) as RunInfo };
    },
  };
}

/** Published together and all acknowledged. */
async function publish(device: TestDevice, client: MqttClient, count: number): Promise<Uint8Array[]> {
  const envelopes = Array.from({ length: count }, () => device.envelope());
  await Promise.all(envelopes.map((envelope) => device.publish(client, envelope)));
  return envelopes;
}

/** All of the database in the one file, as a power cut leaves it some time after the last entry. */
function settle(path: string): void {
  const db = new Database(path);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

/** Noise over the page that holds this entry. */
function harmEntry(path: string, idx: number): void {
  const db = new Database(path, { readonly: true });
  const pages = db
    .prepare<[], { pageno: number; ncell: number }>(
      "SELECT pageno, ncell FROM dbstat WHERE name = 'entries' AND pagetype = 'leaf' ORDER BY path",
    )
    .all();
  db.close();
  let first = 0;
  const page = pages.find(({ ncell }) => {
    first += ncell;
    return first > idx;
  });
  const bytes = readFileSync(path);
  bytes.fill(0xff, ((page?.pageno as number) - 1) * 4096, (page?.pageno as number) * 4096);
  writeFileSync(path, bytes);
}

const newest = (dataFolder: string): string => asidesOf(join(dataFolder, 'edge.db')).at(-1) as string;

/** Each is in the log, or proven by what was set aside. */
async function noneIsMissing(gateway: TestGateway, acked: readonly Uint8Array[]): Promise<void> {
  const { devices, entries, epoch } = gateway.parts;
  const file = join(tempFolder(), 'acked.log');
  const lines = acked.map((bytes) => {
    const { iss, epoch: boot, seq } = decodeEnvelope(bytes);
    return `${iss} ${boot} ${seq} ${sha256Hex(bytes)}\n`;
  });
  writeFileSync(file, lines.join(''));
  expect(await countMissing(file, devices, entries, epoch.asides)).toEqual({ acked: acked.length, missing: 0 });
}

describe('bytes overwritten in the middle, after a power cut', () => {
  it('end the epoch: the next one takes what was acknowledged and not signed, and all the rest stays proven', async () => {
    const city = await City.build();
    const first = await city.gateway();
    const meter = await Meter.at(first);
    const { device } = meter;
    const other = await new TestDevice('000777', 'sensor').enrol(first);
    const silent = await new TestDevice('000888', 'sensor').enrol(first);
    const acked = await publish(device, meter.client, 330);
    await other.publish(await other.connect(first), other.envelope());
    const forged = device.envelope({ seq: 9_999, secretKey: other.secretKey });
    await device.publish(meter.client, forged);
    await first.api(`/devices/${silent.did}/suspend`, { method: 'POST' });
    await first.parts.log.makeCheckpoint(Date.now());
    await allAnchored(first);
    const oldKey = first.parts.log.verifierKey;
    const kept = (await first.api('/entries/7/receipt?format=json')).text;
    await first.finish();

    const chain = { mode: 'rpc', rpc: city.chain.rpc, anchors: city.contract.address, everySeconds: 3600 };
    const second = await child(city.dataFolder, chain);
    const client = await device.connect((await second.ready()) as TestGateway);
    acked.push(...(await publish(device, client, 40)));
    await client.endAsync(true);
    await second.stop('SIGKILL');

    const path = join(city.dataFolder, 'edge.db');
    settle(path);
    harmEntry(path, 100);
    const harmed = readFileSync(path);
    const gateway = await city.gateway();
    const { log, entries } = gateway.parts;
    const { root } = await city.contract.head(ORIGIN);
    expect(log.origin).toBe(`${ORIGIN}/2/333-${Buffer.from(root).toString('hex').slice(0, 16)}`);
    expect(linesOf(gateway, /^STORE_DAMAGED: .*set aside as .*edge\.db\.damaged-.*Epoch 2/)).toHaveLength(1);
    expect(linesOf(gateway, '333 entries of sejong.example/edge-1 are proven from there')).toHaveLength(1);
    expect(linesOf(gateway, '40 accepted')).toHaveLength(1);
    expect(readFileSync(newest(city.dataFolder)).equals(harmed), 'set aside as it was').toBe(true);

    // The devices as they were: status, counters, and what lies in quarantine.
    const { devices, quarantine } = gateway.parts;
    expect(devices.get(silent.did)?.status).toBe('suspended');
    expect(devices.get(device.did)?.counter).toMatchObject({ epoch: 1, seq: 369, entries: 40 });
    expect(devices.get(other.did)?.counter).toMatchObject({ epoch: 1, seq: 0, entries: 0, lastIdx: -1 });
    expect(quarantine.held).toBe(1);
    expect((await gateway.api(`/devices/${other.did}`)).status, 'an API that can say so').toBe(200);
    const now = await Meter.at(gateway, device);
    await now.send(2);
    await device.publish(now.client, acked[369] as Uint8Array); // resent: the same entry, once
    expect(log.size).toBe(1 + 40 + 2);
    // Received when it was received, in the order that it had.
    expect(entries.get(1)?.envelope).toEqual(Buffer.from(acked[330] as Uint8Array));
    expect(entries.get(40)?.envelope).toEqual(Buffer.from(acked[369] as Uint8Array));

    // What was anchored stays provable: by a receipt that was fetched before, and by the file.
    const anchors = { rpc: city.chain.rpc, contract: city.contract.address };
    expect(await verifyReceipt(kept, oldKey, anchors, () => undefined)).toBeUndefined();
    const out = join(tempFolder(), 'receipt.json');
    const made = await edge(['salvage', newest(city.dataFolder), '--index', '300', '--out', out]);
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining(oldKey) });
    const args = ['verify', out, '--key', oldKey, '--rpc', city.chain.rpc, '--anchors', city.contract.address];
    expect((await edge(args)).stdout).toContain('The receipt holds.');
    const refused = await edge(['salvage', newest(city.dataFolder), '--index', '360']);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('333 entries can be proven') });

    // All but those whose page is gone: they were under a checkpoint, and their hashes still are.
    const { log: old, close } = openSalvaged(newest(city.dataFolder));
    const lost = new Set(acked.slice(0, 330).map(sha256Hex));
    for (const row of old.entries(0)) if (row.idx < 333) lost.delete(sha256Hex(old.open(row)?.envelope ?? row.entry));
    close();
    expect(lost.size).toBeGreaterThan(0);
    expect(lost.size).toBeLessThan(40);
    const here = acked.filter((bytes) => !lost.has(sha256Hex(bytes)));
    await noneIsMissing(gateway, here);

    const health = await healthOf(gateway);
    expect(health.status).toBe('degraded');
    expect(health.parts.epoch).toEqual({ ok: false, detail: expect.stringContaining('damaged') });
    expect(await metric(gateway, 'log_epoch')).toBe(2);
    await allAnchored(gateway);
    await gateway.finish();
    expect((await city.contract.head(log.origin)).size).toBe(43);
    await checkAnchors(city.dataFolder, city.contract);
  });
});

describe('an anchor that was on its way', () => {
  it('arrives under the old origin, and the new one comes after it with the next nonce', async () => {
    const city = await City.build();
    const first = await city.gateway();
    const meter = await Meter.at(first);
    await meter.send(2);
    await allAnchored(first);
    await city.chain.call('evm_setAutomine', false);
    await meter.send(2);
    await until(() => rows(first).at(-1)?.status === 'sent', 'an anchor that waits to be mined');
    await first.finish();
    const path = join(city.dataFolder, 'edge.db');
    harm(path);

    await city.chain.call('evm_setIntervalMining', 1);
    const gateway = await city.gateway();
    const { log } = gateway.parts;
    expect(log.origin).toMatch(new RegExp(`^${ORIGIN}/2/5-`));
    await (await Meter.at(gateway, meter.device)).send();
    await allAnchored(gateway);
    expect((await city.contract.head(ORIGIN)).size, 'it has arrived').toBe(5);
    expect((await city.contract.head(log.origin)).size).toBe(2);
    expect(linesOf(gateway, /lost|stuck|CHAIN_REFUSED/)).toEqual([]);
    expect(rows(gateway).at(-1)?.size, 'of this log').toBe(2);
    const final = (): number | undefined => gateway.parts.anchorer?.transactions.confirmedSize();
    await until(() => (final() ?? 0) > 0, 'an anchor that is final');
    expect(final(), 'nothing of this log is forgotten for what the old one has anchored').toBe(2);
    await gateway.finish();
    await checkAnchors(city.dataFolder, city.contract);
    // Deploy, two registrations, and anchors: nothing was sent in vain.
    const sent = await city.chain.client.getTransactionCount({ address: city.account.address });
    expect(sent - 3).toBe((await city.chain.anchorsMined(city.contract.address)).length);
  });
});

describe('a database of which nothing can be read', () => {
  it('whatever became of it, ends the epoch: devices go on, by the copy of the registry', {
    timeout: 60_000,
  }, async () => {
    const city = await City.build();
    let gateway = await city.gateway();
    const { device } = await Meter.at(gateway);
    const path = join(city.dataFolder, 'edge.db');
    const kinds: [string, () => void][] = [
      ['of no length', () => truncateSync(path, 0)],
      ['cut off in its first page', () => truncateSync(path, 1000)],
      ['a letter', () => writeFileSync(path, 'Somebody saved a letter here.\n'.repeat(500))],
      [
        'of another program',
        () => {
          rmSync(path);
          new Database(path).exec('CREATE TABLE recipes (name TEXT); PRAGMA user_version = 1').close();
        },
      ],
      ['gone', () => rmSync(path)],
      [
        'gone, and its write-ahead log is there',
        () => {
          rmSync(path);
          writeFileSync(`${path}-wal`, Buffer.alloc(8192, 7));
        },
      ],
    ];
    for (const [i, [kind, harm]] of kinds.entries()) {
      await (await Meter.at(gateway, device)).send(2);
      await allAnchored(gateway);
      const { origin, verifierKey } = gateway.parts.log;
      const receipts = await Promise.all(
        ['json', 'calldata'].map(async (format) => (await gateway.api(`/entries/2/receipt?format=${format}`)).text),
      );
      await gateway.finish();
      await checkAnchors(city.dataFolder, city.contract);
      const { size, root } = await city.contract.head(origin);
      harm();
      gateway = await city.gateway();
      const head = `${size}-${Buffer.from(root).toString('hex').slice(0, 16)}`;
      expect(gateway.parts.log.origin, kind).toBe(`${ORIGIN}/${i + 2}/${head}`);
      expect(linesOf(gateway, /^STORE_DAMAGED: /), kind).toHaveLength(1);
      expect(linesOf(gateway, 'the next envelope of each of the others sets the beginning'), kind).toHaveLength(1);
      const anchors = { rpc: city.chain.rpc, contract: city.contract.address };
      for (const receipt of receipts)
        expect(await verifyReceipt(receipt, verifierKey, anchors, () => undefined), kind).toBeUndefined();
      expect(gateway.parts.devices.get(device.did)?.status, kind).toBe('active');
    }
    await (await Meter.at(gateway, device)).send(2);
    await allAnchored(gateway);
    await gateway.finish();
    await checkAnchors(city.dataFolder, city.contract);
  });

  it('is called unknown where nothing else knows it either, and never twice the same', async () => {
    const names: string[] = [];
    for (const _ of [1, 2]) {
      const dataFolder = tempFolder();
      await (await startTestGateway({ dataFolder })).finish();
      rmSync(join(dataFolder, 'epoch.json'));
      truncateSync(join(dataFolder, 'edge.db'), 0);
      const gateway = await startTestGateway({ dataFolder });
      names.push(gateway.parts.log.origin);
      await gateway.finish();
    }
    for (const name of names) expect(name).toMatch(new RegExp(`^${ORIGIN}/2/unknown-[0-9a-f]{16}$`));
    expect(names[0]).not.toBe(names[1]);
  });
});

describe('damage that is met while the gateway runs', () => {
  it('ends it, and is found at the next start although the stop was clean', async () => {
    const dataFolder = tempFolder();
    const first = await startTestGateway({ dataFolder, log: STILL });
    const device = await new TestDevice('000123').enrol(first);
    await publish(device, await device.connect(first), 300);
    await first.finish();
    harmEntry(join(dataFolder, 'edge.db'), 20);
    const second = await startTestGateway({ dataFolder, log: STILL });
    expect((await second.api('/entries/20')).status).toBe(500);
    expect((await second.failed).code).toBe('STORE_DAMAGED');
    await second.finish().catch(() => undefined);
    const third = await startTestGateway({ dataFolder, log: STILL });
    expect(third.parts.log.origin).toMatch(new RegExp(`^${ORIGIN}/2/301-`));
    await third.finish();
  });
});

describe('power cuts between the set-aside and the first entries of the new epoch', () => {
  it('at every step lead to one new epoch, one file aside, and all that was acknowledged', {
    timeout: 120_000,
  }, async () => {
    const dataFolder = tempFolder();
    const first = await startTestGateway({ dataFolder, log: STILL });
    const device = await new TestDevice('000123').enrol(first);
    const signed = await publish(device, await device.connect(first), 20);
    await first.finish();
    const none = { mode: 'none' };
    const running = await child(dataFolder, none);
    const client = await device.connect((await running.ready()) as TestGateway);
    const unsigned = await publish(device, client, 300);
    await client.endAsync(true);
    await running.stop('SIGKILL');
    const path = join(dataFolder, 'edge.db');
    settle(path);
    harmEntry(path, 290);
    writeFileSync(`${path}-wal`, ''); // a second file to move

    for (const faults of [
      'epoch.moving=kill@1',
      'epoch.moved=kill@1',
      'epoch.named=kill@1',
      'salvage.before=kill@1',
      'salvage.after=kill@1',
      'epoch.before=kill@1',
      'epoch.after=kill@1',
      'append.after=kill@1', // the genesis
      'epoch.begun=kill@1',
      'append.before=kill@1', // what is carried over
      'append.after=kill@1',
    ]) {
      const killed = await child(dataFolder, none, faults);
      await killed.stop('SIGCONT');
      expect(killed.child.signalCode, `${faults}\n${killed.lines.join('\n')}`).toBe('SIGKILL');
    }
    const gateway = await startTestGateway({ dataFolder, log: STILL });
    expect(gateway.parts.log.origin).toMatch(new RegExp(`^${ORIGIN}/2/21-[0-9a-f]{16}$`));
    expect(asidesOf(path)).toHaveLength(1);
    const { log: old, close } = openSalvaged(newest(dataFolder));
    const readable = new Set([...old.entries(0)].map((row) => sha256Hex(old.open(row)?.envelope ?? row.entry)));
    expect(old.provable?.size).toBe(21);
    close();
    const whole = [...signed, ...unsigned].filter((bytes) => readable.has(sha256Hex(bytes)));
    expect(whole.length).toBeGreaterThan(280);
    expect(whole.length).toBeLessThan(320);
    expect(gateway.parts.log.size).toBe(1 + whole.length - signed.length);
    const { devices } = gateway.parts;
    expect(devices.get(device.did)?.counter).toMatchObject({ epoch: 1, seq: 319 });
    await (await Meter.at(gateway, device)).send();
    const { byHash } = await gateway.finish();
    for (const bytes of whole.slice(signed.length)) expect(byHash.has(sha256Hex(bytes))).toBe(true);
    // The same folder once more: nothing is left to do.
    cpSync(dataFolder, join(tempFolder(), 'copy'), { recursive: true });
    const again = await startTestGateway({ dataFolder });
    expect(again.lines).toEqual([]);
    await again.finish();
    wholeTruth(dataFolder);
  });
});
