/** What a gateway takes over while it runs, one connection held open through all of it. */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import type { Config } from '../../edge/config.ts';
import { Inverter, inverterLine } from '../../firmware-sim/serial/twin.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { TestCa, writePair } from '../support/pki.ts';
import { tempFolder, until } from '../support/temp.ts';

async function handshake(port: number, ca: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

it('caps, certificates, serial lines and times change under a connection that stays', async () => {
  const folder = tempFolder();
  const ca = await TestCa.make();
  const files = writePair(folder, await ca.issue());
  const gateway = await startTestGateway({ mqtt: { tls: { ...files, host: '127.0.0.1', port: 0 } } });
  const device = await new TestDevice('reload').enrol(gateway);
  const client = await device.connect(gateway);
  let dropped = false;
  client.on('close', () => {
    dropped = true;
  });
  const take = (change: (config: Config) => void) => {
    const next = structuredClone(gateway.config);
    change(next);
    return gateway.reloading.take(next);
  };
  const nothing = { taken: [], waiting: [], refused: [] };

  expect(await take(() => undefined)).toEqual(nothing);
  // A cap, down and up again.
  expect(
    await take(({ mqtt }) => {
      mqtt.maxConnectionsPerUser = 1;
    }),
  ).toEqual({
    ...nothing,
    taken: ['mqtt.maxConnectionsPerUser'],
  });
  await expect(device.connect(gateway)).rejects.toThrow(/Not authorized/);
  await take(({ mqtt }) => {
    mqtt.maxConnectionsPerUser = 4;
  });
  await (await device.connect(gateway)).endAsync();

  // How often checkpoints come, and how much is kept free.
  await take(({ log, retention, http }) => {
    log.checkpointSeconds = 3600;
    log.checkpointEntries = 3;
    retention.reserveBytes = 1_048_576;
    http.maxEventStreams = 1;
  });
  expect(gateway.parts.disk.reserve).toBe(1_048_576);
  for (let i = 0; i < 3; i++) await device.publish(client, device.envelope());
  await until(() => gateway.parts.log.latest?.size === gateway.parts.log.size, 'a checkpoint after three entries');

  // Another certificate, from other files: whoever is connected stays, whoever comes sees the new one.
  const port = Number(new URL(gateway.info.mqtts as string).port);
  const before = await handshake(port, ca.pem);
  const other = join(folder, 'other');
  mkdirSync(other);
  const renewed = writePair(other, await ca.issue());
  const { taken } = await take(({ mqtt }) => void Object.assign(mqtt.tls, renewed));
  expect(taken).toEqual(['mqtt.tls.certFile', 'mqtt.tls.keyFile']);
  const after = await handshake(port, ca.pem);
  expect(after.getPeerCertificate().serialNumber).not.toBe(before.getPeerCertificate().serialNumber);
  expect(before.destroyed).toBe(false);
  const bad = await take(({ mqtt }) => {
    mqtt.tls.keyFile = files.keyFile;
  });
  expect(bad).toEqual({
    ...nothing,
    refused: [{ key: 'mqtt.tls.keyFile', problem: expect.stringMatching(/^CERTIFICATE_INVALID/) }],
  });
  expect((await handshake(port, ca.pem)).getPeerCertificate().serialNumber).toBe(
    after.getPeerCertificate().serialNumber,
  );
  // To ask for certificates is settled when it begins to listen.
  const asked = await take(({ mqtt }) => {
    mqtt.tls.caFile = files.certFile;
  });
  expect(asked).toEqual({ ...nothing, waiting: ['mqtt.tls.caFile'] });

  // A serial line that was not there, and goes again.
  const tty = join(folder, 'tty');
  const inverter = new Inverter({ unitId: 1, seed: 1, now: () => 1_700_000_000_000, powerW: () => 100, startWh: 1000 });
  const line = inverterLine(tty, [inverter], 7);
  line.plug();
  onTestFinished(() => line.unplug());
  const bus = { path: tty, tcp: '', baudRate: 115_200, timeoutMs: 1000 };
  const sun = { did: '', sub: 'urn:sejong:mp:sun', profile: 'pv-sunspec', unitId: 1, everySeconds: 0.05 };
  const ports = (profile = sun.profile) => [{ ...bus, devices: [{ ...sun, profile }] }] as Config['serial']['ports'];
  expect(
    (
      await take(({ serial }) => {
        serial.ports = ports();
      })
    ).taken,
  ).toEqual(['serial.ports']);
  await until(() => gateway.parts.serialEntries() > 1, 'it is read');
  const wrong = await take(({ serial }) => {
    serial.ports = ports('no-such');
  });
  expect(wrong.refused).toEqual([{ key: 'serial.ports', problem: expect.stringContaining('no-such') }]);
  const read = gateway.parts.serialEntries();
  await until(() => gateway.parts.serialEntries() > read, 'the line before goes on');
  await take(({ serial }) => {
    serial.ports = [];
  });
  expect(gateway.parts.serial.state()).toEqual([]);

  // What it cannot take is named, and left.
  const rest = await take((config) => {
    config.clock.source = 'synced';
    config.mqtt.host = '127.0.0.2';
    config.retention.days = 3;
  });
  expect(rest).toEqual({ ...nothing, taken: ['retention.days'], waiting: ['mqtt.host', 'clock.source'] });
  expect(gateway.config.mqtt.host).toBe('127.0.0.1');

  await device.publish(client, device.envelope());
  expect(dropped).toBe(false);
  expect((await gateway.finish()).quarantined.size).toBe(0);
});
