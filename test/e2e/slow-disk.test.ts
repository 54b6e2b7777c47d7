/** An fsync may take 200 ms and more: what doesn't need the disk doesn't wait for it. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startInverterTwin } from '../../firmware-sim/serial/twin.ts';
import { onTestFinished } from '../support/ends.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';

const FSYNC_MS = 400;

it('answers pings, HTTP and logins, and polls a serial line, while a commit is under way', async () => {
  const tty = join(tempFolder(), 'inverter');
  const twin = await startInverterTwin({ link: tty, unitId: 1, seed: 3, now: () => 5_000_000, powerW: () => 2500 });
  onTestFinished(() => twin.stop());
  const line = { path: tty, baudRate: 9600, parity: 'none' as const };
  const inverter = { did: '', sub: 'urn:sejong:mp:slow', profile: 'pv-sunspec', unitId: 1 };

  process.env.SEJONG_EDGE_FAULTS = `commit=delay@${FSYNC_MS}`; // read by the writer's thread, when it starts
  const gateway = await startTestGateway({
    log: { checkpointSeconds: 3600 },
    serial: { ports: [{ ...line, devices: [{ ...inverter, everySeconds: 0.2 }] }] },
  }).finally(() => delete process.env.SEJONG_EDGE_FAULTS);
  const device = await new TestDevice('000123').enrol(gateway);
  const other = await new TestDevice('000124').enrol(gateway);
  const client = await device.connect(gateway);
  await device.publish(client, device.envelope()); // nothing of the start is under way any more
  expect(gateway.parts.store.commits.lastMs).toBeGreaterThanOrEqual(FSYNC_MS - 1);

  // Each looks at whether the PUBACK has come when it is served itself.
  for (const [what, ask] of Object.entries({
    'a ping': async () => {
      const answered = new Promise((resolve) => client.once('packetreceive', resolve));
      client.sendPing();
      await answered;
    },
    'GET /health': async () => {
      expect((await gateway.api('/health', { token: null })).status).toBe(200);
    },
    'a login': async () => {
      await other.connect(gateway);
    },
    'a poll of the inverter': () =>
      // Not while a value of its own waits for the disk: that one is in the same commit, or in the one before.
      new Promise<void>((resolve) => {
        twin.inverter.onRead = () => resolve();
      }),
  })) {
    // A value of the inverter's own that came into the very commit of the envelope holds its next poll up as long as
    // the PUBACK: then there is nothing to see, and it is looked at again.
    const rounds = what === 'a poll of the inverter' ? 4 : 1;
    let acked = true;
    for (let round = 1; acked && round <= rounds; round++) {
      acked = false;
      const { accept } = gateway.parts;
      await until(() => accept.pending === 0, 'nothing is under way', 60_000);
      const sender = what === 'a ping' ? await device.connect(gateway) : client;
      const published = device.publish(sender, device.envelope()).then(() => {
        acked = true;
      });
      await until(() => accept.pending > 0 || acked, 'the envelope is being written');
      await ask();
      const before = !acked;
      await published;
      acked = !before;
    }
    expect(acked, `${what} is served before the PUBACK`).toBe(false);
  }
  const { text } = await gateway.api('/metrics', { token: null });
  expect(text).toContain(`sejong_edge_serial_port_open{port="${tty}"} 1`);
  expect(text).toMatch(/sejong_edge_serial_values_total\{port="[^"]+",driver="sunspec"\} [1-9]/);
  const { entries } = await gateway.finish();
  expect(entries).toBeGreaterThan(5);
});
