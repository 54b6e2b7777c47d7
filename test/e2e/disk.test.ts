/** A full disk: nothing is acknowledged without room, somebody is told, and all goes on by itself when there is room. */
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EdgeError } from '../../edge/errors.ts';
import type { Outcome } from '../../edge/intake/accept.ts';
import { Meter, Path } from '../intake/path.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import type { WholeTruth } from '../support/whole-truth.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const offer = (gateway: TestGateway, device: TestDevice, envelope: Uint8Array): Promise<Outcome> =>
  gateway.parts.accept.offer(envelope, { did: device.did, topic: 'test' });

/** Offers the next `n` envelopes of each, and answers which were acknowledged. */
async function offerAll(gateway: TestGateway, devices: TestDevice[], n: number) {
  const envelopes = Array.from({ length: n }, () => devices.map((d) => [d, d.envelope()] as const)).flat();
  const settled = await Promise.allSettled(envelopes.map(([d, e]) => offer(gateway, d, e)));
  const acked = envelopes.filter((_, i) => settled[i]?.status === 'fulfilled').map(([, e]) => e);
  const refused = envelopes.filter((_, i) => settled[i]?.status === 'rejected');
  const codes = new Set(settled.flatMap((s) => (s.status === 'rejected' ? [(s.reason as EdgeError).code] : [])));
  return { acked, refused, codes };
}

/** All that was acknowledged is in the log: whole, or as the hash of what was thinned. */
function expectAllThere({ byHash, pruned, holds }: WholeTruth, acked: Uint8Array[]): void {
  const there = new Set([...byHash.values(), ...pruned.values()]);
  expect(there.size).toBe(byHash.size + pruned.size);
  for (const e of acked) expect(holds(e)).toBe(true);
}

/** A vehicle that says where it is, and more. */
class Vehicle extends TestDevice {
  constructor(name: string) {
    super(name, 'vehicle');
  }
  override records() {
    return [
      { n: 'Vehicle.Speed', u: 'km/h', v: this.seq % 120 },
      { n: 'Vehicle.CurrentLocation.Latitude', v: 36.48 + this.seq / 1e6 },
      { n: 'Vehicle.CurrentLocation.Longitude', v: 127.28 - this.seq / 1e6 },
    ];
  }
}

/** Each table and index of the schema has a page of its own, before anything is in it: 64 KiB are for those. */
const QUOTA = 1.5 * MIB + 64 * KIB;

describe('a quota that is used up to the reserve', () => {
  it('thins vehicles, oldest first, with a gap entry for each range, and takes energy data on and on', async () => {
    const gateway = await startTestGateway({
      log: { checkpointSeconds: 0.1 },
      retention: { maxBytes: QUOTA, reserveBytes: 256 * KIB },
    });
    const meter = await new TestDevice('m').enrol(gateway);
    const cars = await Promise.all(['u', 'v', 'w'].map((name) => new Vehicle(name).enrol(gateway)));
    const { log, retention, disk } = gateway.parts;
    const acked: Uint8Array[] = [];
    // Three times what the quota holds.
    while (log.size < 3_500) {
      // About 90 KB, where there are 128 KB: the disk is never asked for more than it has.
      const round = await offerAll(gateway, [meter, ...cars, ...cars, ...cars], 7);
      expect([...round.codes]).toEqual([]);
      acked.push(...round.acked);
      await until(
        () => disk.look() > 1.5 * disk.reserve,
        'there is room again, as soon as a checkpoint covers what can be thinned',
      );
    }
    expect(gateway.lines.filter((l) => l.includes('location-rate telemetry')).length).toBeGreaterThan(0);
    expect(retention.counts.thinned).toBeGreaterThan(1_000);
    expect(statSync(join(gateway.config.dataFolder, 'edge.db')).size).toBeLessThanOrEqual(QUOTA);
    const { text } = await gateway.api('/metrics');
    expect(text).toMatch(/^sejong_edge_thinned_total [1-9]\d+$/m);
    expect(text).toMatch(/^sejong_edge_refused_for_disk_total 0$/m);
    expect(text).toMatch(/^sejong_edge_written_bytes_total \d+$/m);
    const view = (await gateway.api(`/devices/${cars[0]?.did}`)).body as { declaredGaps: { reason: string }[] };
    expect(view.declaredGaps.length).toBeGreaterThan(0);
    expect(view.declaredGaps.every((g) => g.reason === 'thinned')).toBe(true);

    const truth = await gateway.finish({ verifyOneIn: 100 });
    expectAllThere(truth, acked);
    expect(truth.pruned.size).toBe(truth.gaps.reduce((sum, g) => sum + g.last - g.first + 1, 0));
    // Oldest first: each car's gaps begin where it began, and go on where the last one ended.
    for (const car of cars) {
      const mine = truth.gaps.filter((g) => g.did === car.did);
      expect(mine[0]?.first).toBe(0);
      for (const [i, g] of mine.slice(1).entries()) expect(g.first).toBe((mine[i]?.last as number) + 1);
    }
  });

  it('refuses everything new at the reserve, says so once, and goes on by itself when something can be thinned', async () => {
    const gateway = await startTestGateway({
      log: { checkpointSeconds: 3600, checkpointEntries: 1_000_000 },
      retention: { maxBytes: MIB, reserveBytes: 192 * KIB },
    });
    const meter = await new TestDevice('m').enrol(gateway);
    const car = await new Vehicle('v').enrol(gateway);
    const acked: Uint8Array[] = [];
    const refused: (readonly [TestDevice, Uint8Array])[] = [];
    const known = meter.envelope();
    await offer(gateway, meter, known);
    for (let taken = 1; taken > 0; ) {
      const round = await offerAll(gateway, [car, car, car, car, meter], 20);
      taken = round.acked.length;
      acked.push(...round.acked);
      refused.push(...round.refused);
      if (refused.length > 0) expect([...round.codes]).toEqual(['DISK_RESERVE']);
    }
    const { retention, log, quarantine } = gateway.parts;
    await until(() => retention.level === 'full', 'the alarm');
    const alarms = () => gateway.lines.filter((l) => l.startsWith('disk: DISK_RESERVE'));
    expect(alarms().length).toBeGreaterThan(0);
    expect((await gateway.api('/health')).body).toMatchObject({
      status: 'degraded',
      parts: { disk: { ok: false }, store: { ok: true } },
    });
    expect((await gateway.api('/metrics')).text).toMatch(/^sejong_edge_refused_for_disk_total [1-9]/m);

    // Quarantine grows no more either; what is in the log already is still answered; the log itself stays readable.
    const forged = meter.envelope({ seq: 1_000_000, secretKey: new Uint8Array(32).fill(7) });
    await expect(offer(gateway, meter, forged)).rejects.toMatchObject({ code: 'DISK_RESERVE' });
    expect(quarantine.held).toBe(0);
    expect(await offer(gateway, meter, known)).toEqual({ kind: 'known', index: 1 });
    const said = alarms().length;
    await offerAll(gateway, [meter], 50);
    expect(alarms().length, 'the alarm is not said again').toBe(said);

    // A checkpoint needs no more than the reserve, and lets the oldest go.
    await log.makeCheckpoint(Date.now());
    await until(() => retention.level === 'ok', 'room again');
    expect(gateway.lines.filter((l) => l.includes('there is room again')).length).toBeGreaterThan(0);
    for (const [device, envelope] of refused.slice(0, 50))
      expect((await offer(gateway, device, envelope)).kind).toBe('accepted');
    expect((await offer(gateway, meter, forged)).kind).toBe('quarantined');
    const truth = await gateway.finish({ verifyOneIn: 50 });
    expect(truth.gaps.length).toBeGreaterThan(0);
    expectAllThere(truth, [known, ...acked, ...refused.slice(0, 50).map(([, e]) => e)]);
  });
});

describe('a disk that is really full', () => {
  it('at the very last page of a quota takes nothing and acknowledges nothing, and goes on when the quota is raised', async () => {
    const folder = tempFolder();
    const path = await Path.open(folder, {}, undefined, 300 * KIB);
    const meter = new Meter('m');
    await path.enrol(meter);
    const { acked, failed } = await fill(path, meter);
    expect(failed[0]?.error).toMatchObject({ code: 'STORE_UNAVAILABLE', detail: expect.stringMatching(/SQLITE_FULL/) });
    // Reading, and what needs no new page, still works.
    expect(await path.offer(meter, acked[0])).toMatchObject({ kind: 'known' });
    expect(path.accept.failing).toBe(true);
    await path.close();

    const again = await Path.open(folder, {}, path.heldKeys, 600 * KIB);
    for (const { envelope } of failed) expect(await again.offer(meter, envelope)).toMatchObject({ kind: 'accepted' });
    expect(again.accept.failing).toBe(false);
    const truth = await again.finish({ verifyOneIn: 20 });
    expectAllThere(truth, [...acked, ...failed.map((f) => f.envelope)]);
    expect(truth.entries).toBe(1 + acked.length + failed.length);
  });

  it('on a file system of a few MB takes nothing while another program fills it, and goes on by itself after', async (t) => {
    const disk = mountTmpfs('12m');
    if (!disk) return t.skip('this test mounts a file system, which only root may, where it is allowed');
    const path = await Path.open(join(disk, 'data'), { alarm: (line) => alarms.push(line) });
    const alarms: string[] = [];
    const meter = new Meter('m');
    await path.enrol(meter);
    // The first of a device sets the beginning of its counter: it is to be there.
    const acked: Uint8Array[] = [meter.envelope()];
    await path.offer(meter, acked[0]);
    const failed: Uint8Array[] = [];
    for (let round = 0; round < 3; round++) {
      // The other program leaves some pages, so that a commit fails in its middle.
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(join(disk, 'filler'), new Uint8Array((bavail - 5 - round * 20) * bsize));
      const full = await fill(path, meter);
      acked.push(...full.acked);
      failed.push(...full.failed.map((f) => f.envelope));
      expect(full.failed[0]?.error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(alarms.at(-1)).toMatch(/^store: STORE_UNAVAILABLE/);
      rmSync(join(disk, 'filler'));
      const more = meter.envelope();
      expect(await path.offer(meter, more), 'by itself').toMatchObject({ kind: 'accepted' });
      acked.push(more);
      expect(alarms.at(-1)).toBe('store: it takes readings again');
    }
    expect(alarms.length).toBe(6);
    for (const envelope of failed)
      expect(await path.offer(meter, envelope)).toEqual({ kind: 'accepted', index: expect.any(Number) });
    const truth = await path.finish({ verifyOneIn: 20 });
    expectAllThere(truth, [...acked, ...failed]);
  });

  it('is seen at the reserve: a device gets no PUBACK, and gets it when there is room, with nobody doing anything', async (t) => {
    const disk = mountTmpfs('24m');
    if (!disk) return t.skip('this test mounts a file system, which only root may, where it is allowed');
    const gateway = await startTestGateway({ dataFolder: join(disk, 'data'), retention: { reserveBytes: 4 * MIB } });
    const meter = await new TestDevice('m').enrol(gateway);
    const first = meter.envelope();
    await meter.publish(await meter.connect(gateway), first);
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, 'filler'), new Uint8Array(bavail * bsize - 3 * MIB));
    await until(() => gateway.parts.disk.room < 0, 'the disk is seen to be full');
    const second = meter.envelope();
    const client = await meter.connect(gateway);
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    let acked = false;
    client.publish(`up/${meter.did}/cose`, Buffer.from(second), { qos: 1 }, (error) => {
      acked ||= !error;
    });
    await closed; // what MQTT 3.1.1 has for "no"
    expect(acked).toBe(false);
    await until(() => gateway.parts.retention.level === 'full', 'the alarm');
    rmSync(join(disk, 'filler'));
    await until(() => gateway.parts.retention.level === 'ok', 'room again');
    await meter.publish(await meter.connect(gateway), second);
    expectAllThere(await gateway.finish(), [first, second]);
  });
});

/** One after the other until five in a row had no room. */
async function fill(path: Path, meter: Meter) {
  const acked: Uint8Array[] = [];
  const failed: { envelope: Uint8Array; error: unknown }[] = [];
  while (failed.length < 5) {
    const envelope = meter.envelope();
    try {
      expect((await path.offer(meter, envelope)).kind).toBe('accepted');
      acked.push(envelope);
    } catch (error) {
      if (!(error instanceof EdgeError)) throw error;
      failed.push({ envelope, error });
    }
  }
  return { acked, failed };
}

function mountTmpfs(size: string): string | undefined {
  const folder = tempFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder]);
  });
  return folder;
}
