/** An fsync that takes 200 ms, as on an SD card: pings, HTTP and the serial line stay on time. */
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startInverterTwin } from '../../firmware-sim/serial/twin.ts';
import { RawMqtt } from '../intake/raw-mqtt.ts';
import { onTestFinished } from '../support/ends.ts';
import { TestDevice } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import type { Attack } from './attack.ts';
import { Site } from './site.ts';

const FSYNC_MS = 200;
/** Half an fsync: what waits for the disk is late by more than this most of the time. */
const ON_TIME_MS = 100;
const CLIENTS = 4;
const PING_EVERY_MS = 40;
const POLL_SECONDS = 1;

/** Times in ms. */
class Times {
  readonly #all: number[] = [];

  add(ms: number): void {
    this.#all.push(ms);
  }

  get count(): number {
    return this.#all.length;
  }

  at(quantile: number): number {
    const sorted = [...this.#all].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? Number.NaN;
  }
}

export const attacks: readonly Attack[] = [
  {
    name: 'slow-fsync',
    says: 'each commit takes 200 ms: MQTT pings, HTTP and the polls of a serial line stay on time',
    run: async ({ seed, short, say }) => {
      const tty = join(tempFolder(), 'inverter');
      const twin = await startInverterTwin({ link: tty, unitId: 1, seed, now: () => Date.now(), powerW: () => 2500 });
      onTestFinished(() => twin.stop());
      const device = `{profile: pv-sunspec, unitId: 1, everySeconds: ${POLL_SECONDS}, sub: "urn:sejong:mp:slow"}`;
      const config = `serial: {ports: [{path: "${tty}", devices: [${device}]}]}`;
      const site = await Site.build({ seed, chain: 'none', config });
      await site.up(`commit=delay@${FSYNC_MS}`);
      await site.load();
      await site.grows(50);

      const pings = new Times();
      const http = new Times();
      const polls = new Times();
      const loop = new Times();
      const commits = new Times();
      let last = Number.NaN;
      // One poll reads several blocks: what counts is when it begins.
      twin.inverter.onRead = () => {
        const now = performance.now();
        if (now - last < (POLL_SECONDS * 1000) / 3) return;
        if (!Number.isNaN(last)) polls.add(Math.abs(now - last - POLL_SECONDS * 1000));
        last = now;
      };
      let end = 0;
      const ping = async (name: string): Promise<void> => {
        const device = new TestDevice(name);
        const login = { user: device.did, password: device.jwt(site.origin), clientId: name };
        const client = await RawMqtt.login({ info: { mqtt: site.mqtt } }, login);
        while (performance.now() < end) {
          const asked = performance.now();
          await client.ping();
          pings.add(performance.now() - asked);
          await wait(PING_EVERY_MS);
        }
      };
      const poll = async (): Promise<void> => {
        while (performance.now() < end) {
          const asked = performance.now();
          await site.read('/health');
          http.add(performance.now() - asked);
          loop.add(1000 * (await site.metric('event_loop_delay_seconds')));
          commits.add(1000 * (await site.metric('store_commit_seconds')));
          await wait(PING_EVERY_MS * 5);
        }
      };
      await until(() => site.enrolled.length >= CLIENTS, 'devices that ping are enrolled');
      end = performance.now() + (short ? 6000 : 40_000);
      await Promise.all([poll(), ...Array.from({ length: CLIENTS }, (_, i) => ping(site.nameOf(i)))]);
      twin.inverter.onRead = undefined;
      say(`${pings.count} pings, ${http.count} requests, ${polls.count} polls`);
      const made = await site.metric('store_commits_total');
      const { entries } = await site.finish();

      const shown = (name: string, t: Times): string => `${name} p99 ${t.at(0.99).toFixed(0)} ms`;
      const wrong = [
        ...(commits.at(0.5) < FSYNC_MS ? [`commits take ${commits.at(0.5).toFixed(0)} ms, so nothing was shown`] : []),
        // The quantile leaves room for other programs on the machine; what waits for the disk fails it by far.
        ...(pings.at(0.95) < ON_TIME_MS ? [] : ['pings are late']),
        ...(http.at(0.95) < ON_TIME_MS ? [] : ['HTTP is late']),
        ...(polls.at(0.9) < ON_TIME_MS ? [] : ['serial polls are late']),
      ];
      return {
        counts: { commits: made, pings: pings.count, http: http.count, polls: polls.count, acked: site.acked, entries },
        lost: site.lost,
        twice: site.twice,
        ok: site.whole && wrong.length === 0 && pings.count > 50 && polls.count > 2,
        detail: [
          `commit p50 ${commits.at(0.5).toFixed(0)} ms`,
          shown('ping', pings),
          shown('HTTP', http),
          shown('poll off by', polls),
          `event loop p99 ${loop.at(0.5).toFixed(1)} ms`,
          ...wrong,
        ].join(', '),
      };
    },
  },
];
