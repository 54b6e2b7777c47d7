/** Devices without a run around them: sampled by hand, at simulated times that the test names. */
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { KeyType } from '../../edge/wire/keys.ts';
import { Device } from '../../firmware-sim/device.ts';
import type { Kind } from '../../firmware-sim/identity.ts';
import type { Shared } from '../../firmware-sim/station.ts';
import { Tally } from '../../firmware-sim/tally.ts';
import { TestBroker } from './broker.ts';

export const NOON = Date.parse('2026-06-21T12:00:00+09:00');

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sejong-sim-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function startBroker(): Promise<TestBroker> {
  const broker = await new TestBroker().start();
  onTestFinished(() => broker.kill());
  return broker;
}

export type Acked = { did: string; epoch: number; seq: number; bytes: Uint8Array };

/** What a run would hand to its devices; `acked` collects what they believe to be acknowledged. */
export function makeShared(broker: TestBroker, changes: Partial<Shared> = {}) {
  const tally = new Tally();
  const acked: Acked[] = [];
  const reports: string[] = [];
  const shared: Shared = {
    mqttUrl: broker.url,
    origin: () => 'sejong.example/test',
    seed: 7,
    window: 16,
    bufferCap: 10_000,
    tally,
    onAcked: (did, { epoch, seq }, bytes) => {
      acked.push({ did, epoch, seq, bytes });
      acks.emit('ack');
    },
    onLine: () => {},
    report: (line) => reports.push(line),
    ...changes,
  };
  return { shared, tally, acked, reports };
}

export function bootDevice(
  folder: string,
  shared: Shared,
  kind: Kind = 'meter',
  name = `${kind}-001`,
  keyType: KeyType = 'Ed25519',
): Device {
  return new Device(folder, { name, kind, keyType, runSeed: 7, seeded: true, ordinal: 0 }, shared, NOON);
}

const acks = new EventEmitter().setMaxListeners(0);

/** Resolves when the condition holds; asked after each PUBACK that a device got. */
export async function whenAcked(condition: () => boolean): Promise<void> {
  while (!condition()) await once(acks, 'ack');
}

/** Resolves once the device has nothing left to send. */
export const drained = (device: Device): Promise<void> => whenAcked(() => device.buffered === 0);
