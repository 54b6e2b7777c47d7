/** Which part of the gateway follows which key of the config, and how. */
import type { Api } from './api/server.ts';
import type { Anchorer } from './chain/anchorer.ts';
import type { Config } from './config.ts';
import type { Accept } from './intake/accept.ts';
import type { MqttIntake } from './intake/mqtt.ts';
import type { Checkpointer } from './log/checkpointer.ts';
import type { Retention } from './log/retention.ts';
import type { Reloading } from './reload.ts';
import type { SerialPort } from './serial-ports.ts';
import type { Disk } from './store/disk.ts';
import type { Certificates } from './transport.ts';

type Parts = {
  accept: Accept;
  anchorer: Anchorer | undefined;
  api: Api;
  certificates: Certificates;
  checkpointer: Checkpointer;
  disk: Disk;
  failures: { limit: (perMinute: number) => void };
  logins: { limit: (limits: Config['mqtt']) => void };
  mqtt: MqttIntake;
  /** @throws EdgeError CONFIG_INVALID */
  ports: (config: Config) => SerialPort[];
  retention: Retention | undefined;
  serial: { replace: (ports: readonly SerialPort[]) => Promise<void> };
};

const of = (section: string, ...keys: string[]): string[] => keys.map((key) => `${section}.${key}`);

export function followConfig(reloading: Reloading, parts: Parts): void {
  const { accept, anchorer, api, certificates, checkpointer, disk, failures, logins, mqtt, retention, serial } = parts;
  reloading.follow(
    of(
      'mqtt',
      ...['maxConnections', 'maxConnectionsPerUser', 'maxKeepAliveSeconds', 'maxConnectBytes', 'maxPacketBytes'],
      ...['maxUnreadBytes', 'maxDeviceRate'],
    ),
    (next) => mqtt.limit(next.mqtt),
  );
  reloading.follow(of('mqtt', 'maxLoginsAtOnce', 'maxFailedLogins'), (next) => logins.limit(next.mqtt));
  reloading.follow(of('http', 'maxEventStreams'), (next) => api.limit(next.http));
  reloading.follow(of('http', 'maxFailedLogins'), (next) => failures.limit(next.http.maxFailedLogins));
  reloading.follow(
    of('intake', 'maxPendingBytes', 'maxPendingBytesPerDevice', 'maxQuarantinePerDevice', 'maxQuarantine'),
    (next) => accept.limit(next.intake),
  );
  reloading.follow(of('retention', 'days', 'gapLostDays'), (next) => retention?.setDays(next.retention));
  reloading.follow(of('retention', 'reserveBytes'), (next) => {
    disk.reserve = next.retention.reserveBytes;
    retention?.wake();
  });
  // Read from the config at each use.
  reloading.follow(of('devices', 'acceptBacklogAfterRevocation', 'backlogMaxAgeSeconds'), () => undefined);
  reloading.follow(of('log', 'checkpointSeconds', 'checkpointEntries'), ({ log }) =>
    checkpointer.setPace({ seconds: log.checkpointSeconds, entries: log.checkpointEntries }),
  );
  reloading.follow(of('chain', 'everySeconds'), (next) => anchorer?.setPace(next.chain.everySeconds));
  reloading.follow(of('serial', 'ports'), (next) => serial.replace(parts.ports(next)));
  for (const listener of ['mqtt', 'http'] as const) {
    const files = of(`${listener}.tls`, 'certFile', 'keyFile', 'caFile');
    reloading.follow(
      files,
      (next) => certificates.point(listener, next[listener]),
      // Whether there is a listener, and whether it asks for certificates, is settled when it begins to listen.
      (before, next) =>
        (['certFile', 'caFile'] as const).every(
          (file) => (before[listener].tls[file] === '') === (next[listener].tls[file] === ''),
        ) && next[listener].tls.certFile !== '',
    );
  }
}
