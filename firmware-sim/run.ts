/** One run, from top to bottom: who takes part, enrol, connect, measure, drain, count. */
import { randomInt } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { AckedFile } from './acked-file.ts';
import { claim } from './claim.ts';
import { SimClock } from './clock.ts';
import type { Replace } from './credit-plants.ts';
import { District, type Member } from './district.ts';
import { makeFolder } from './durable.ts';
import { GatewayApi } from './gateway-api.ts';
import type { Identity } from './identity.ts';
import { type Inverters, startInverters } from './inverters.ts';
import { lockFolder } from './lock.ts';
import type { Options } from './options.ts';
import type { Shared } from './station.ts';
import { addRefused, Tally } from './tally.ts';
import { startWires, type Wires } from './wires.ts';

export type Counts = {
  scenario: string;
  seed: number;
  seconds: number;
  devices: number;
  sent: number;
  acked: number;
  resent: number;
  buffered: number;
  /** Samples that were not taken because a buffer or the disk was full. */
  missed: number;
  receipts: number;
  /** By code, as the devices were told on down/{did}/error; of honest and hostile ones together. */
  refused: Record<string, number>;
  /** Of those, the honest devices' own: 0 where all is well. */
  honestRefused: number;
  /** `bad`: envelopes among them that a gateway must refuse. */
  hostile: { sent: number; acked: number; bad: number };
};

export type Progress = Counts & {
  phase: 'starting' | 'measuring' | 'draining';
  online: number;
  kinds: Record<string, { online: number; devices: number }>;
  /** Why the last connection ended that did; '' while all are up. */
  line: string;
};

export type Output = {
  report: (line: string) => void;
  /** Everything is up: who takes part. */
  ready: (members: readonly Member[], inverters: readonly string[]) => void;
  /** Asks for progress whenever it wants to show some. */
  watch: (progress: () => Progress) => void;
};

/** After Ctrl-C there is no more than this for what is under way. */
const HURRIED_DRAIN_SECONDS = 0.8;
const DRAIN_POLL_MS = 20;
const DAY_MS = 86_400_000;

/** @param stop ends the run early, with its summary */
export async function run(o: Options, output: Output, stop: AbortSignal): Promise<Counts> {
  makeFolder(resolve(o.state));
  const unlock = await lockFolder(o.state);
  const failure = new AbortController();
  const ackedFile = o.acked === undefined ? undefined : new AckedFile(o.acked, (error) => failure.abort(error));
  try {
    const counts = await play(o, output, ackedFile, AbortSignal.any([stop, failure.signal]));
    failure.signal.throwIfAborted();
    return counts;
  } finally {
    ackedFile?.close();
    unlock();
  }
}

async function play(o: Options, output: Output, ackedFile: AckedFile | undefined, stop: AbortSignal): Promise<Counts> {
  const seed = o.seed ?? randomInt(2 ** 32);
  const clock = new SimClock(o.at ?? Date.now(), o.speed);
  const honest = new Tally();
  const hostile = new Tally();
  let origin = o.origin;
  let line = '';
  const shared: Shared = {
    mqttUrl: o.mqtt,
    origin: () => origin as string,
    seed,
    window: o.window,
    bufferCap: o.buffer,
    tally: honest,
    onAcked: (did, item, bytes) => ackedFile?.add(did, item, bytes),
    onLine: (why) => {
      line = why;
    },
    report: output.report,
  };
  let api: GatewayApi | undefined;
  const replace: Replace | undefined =
    o.api === undefined || o.token === undefined ? undefined : (...swap) => (api as GatewayApi).replace(...swap);
  const district = new District(o, seed, clock, shared, { ...shared, tally: hostile, onAcked: () => {} }, replace);

  let phase: Progress['phase'] = 'starting';
  let begun = performance.now();
  const counts = (): Counts => ({
    scenario: o.devices > 0 ? 'load' : o.scenario,
    seed,
    seconds: Math.round((performance.now() - begun) / 100) / 10,
    devices: district.devices,
    sent: honest.sent,
    acked: honest.acked,
    resent: honest.resent,
    buffered: district.buffered,
    missed: honest.missed,
    receipts: honest.receipts,
    refused: addRefused(honest, hostile),
    honestRefused: Object.values(addRefused(honest)).reduce((a, b) => a + b, 0),
    hostile: { sent: hostile.sent, acked: hostile.acked, bad: district.bad },
  });
  output.watch(() => {
    const kinds = district.kinds();
    const online = Object.values(kinds).reduce((sum, k) => sum + k.online, 0);
    const all = Object.values(kinds).reduce((sum, k) => sum + k.devices, 0);
    return { ...counts(), phase, online, kinds, line: online < all ? line : '' };
  });

  let inverters: Inverters | undefined;
  let wires: Wires | undefined;
  try {
    try {
      if (o.api !== undefined) {
        api = new GatewayApi(o.api, o.token, stop, output.report);
        origin ??= await api.origin();
        if (o.claim !== undefined) await claim(api, o.claim, district.identities()[0] as Identity, stop, output.report);
        else if (o.enroll) await api.enrol(district.enrolments());
      }
      stop.throwIfAborted();
      clock.start();
      begun = performance.now();
      const place = { dir: o['tty-dir'] ?? '', state: o.state, seed, clock };
      wires = await startWires({ ...place, names: o.wires });
      inverters = await startInverters({ n: o.inverters, ...place });
      district.start();
      phase = 'measuring';
      output.ready(district.members(), [...inverters.paths, ...wires.paths]);
      if (o.for !== undefined) await wait(o.for * 1000, undefined, { signal: stop });
      else for (;;) await wait(DAY_MS, undefined, { signal: stop });
    } catch (error) {
      if (!stop.aborted) throw error;
    }
    // Stopped before the origin was known, or the devices enrolled: there is nobody to drain to.
    if (phase === 'starting') return counts();
    phase = 'draining';
    district.finish(!stop.aborted);
    const since = performance.now();
    const allowedMs = (): number => 1000 * (stop.aborted ? Math.min(HURRIED_DRAIN_SECONDS, o.drain) : o.drain);
    while (district.buffered > 0 && performance.now() - since < allowedMs()) {
      // In a hurry only what has a line can still go.
      if (stop.aborted && !district.anyUp) break;
      await wait(DRAIN_POLL_MS);
    }
  } finally {
    await district.stop();
    await inverters?.stop();
    await wires?.stop();
  }
  return counts();
}
