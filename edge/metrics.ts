/** What /metrics shows: the numbers where they arise, given their names. */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Alarms } from './alarms/alarms.ts';
import type { Live } from './api/live.ts';
import type { Sample } from './api/parts.ts';
import type { Receipts } from './api/receipts.ts';
import type { Caps } from './caps.ts';
import type { Anchorer } from './chain/anchorer.ts';
import type { RegistryState } from './chain/devices.ts';
import type { Epoch } from './epoch/epoch.ts';
import type { Forgetting } from './forget.ts';
import type { Accept } from './intake/accept.ts';
import type { Stamp } from './intake/clock.ts';
import type { MqttIntake } from './intake/mqtt.ts';
import type { startSerial } from './intake/serial/serial.ts';
import type { Checkpointer } from './log/checkpointer.ts';
import type { Log } from './log/log.ts';
import type { Retention } from './log/retention.ts';
import type { Devices } from './store/devices.ts';
import type { Disk } from './store/disk.ts';
import type { Quarantine } from './store/quarantine.ts';
import type { Store } from './store/store.ts';
import type { Certificates } from './transport.ts';
import type { Witness } from './witness/witness.ts';
import type { Witnesses } from './witness/witnesses.ts';

export type MetricParts = {
  log: Log;
  checkpointer: Checkpointer;
  store: Store;
  accept: Accept;
  devices: Devices;
  quarantine: Quarantine;
  mqtt: MqttIntake;
  serial: ReturnType<typeof startSerial>;
  live: Live;
  receipts: Receipts;
  anchorer: Anchorer | undefined;
  registry: { state: RegistryState | undefined };
  epoch: Epoch;
  disk: Disk;
  retention: Retention;
  forgetting: Forgetting;
  witnesses: Witnesses;
  witness: Witness;
  now: () => Stamp;
  caps: Caps;
  certificates: Certificates;
  startedAt: number;
  serialEntries: () => number;
  alarms: Pick<Alarms, 'count'>;
  creditSamples: () => Sample[];
  /** Undefined where there is no config file. */
  configHealth: () => { ok: boolean; detail: string } | undefined;
  creditHealth: () => { ok: boolean; detail: string } | undefined;
  checkSamples: () => Sample[];
  checkHealth: () => { ok: boolean; detail: string } | undefined;
  /** Of Node-RED, which another process hosts; undefined where it does not run. */
  flowsHealth: () => { ok: boolean; detail: string } | undefined;
};

/** How often the event loop's delay is measured; what is measured has this in it. */
const RESOLUTION_MS = 10;
const eventLoop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
eventLoop.enable();

/** In s, since the last time it was asked for: what a ping or a poll of a serial line had to wait at the worst. */
function eventLoopDelay(): number {
  const p99 = eventLoop.count === 0 ? 0 : Math.max(0, eventLoop.percentile(99) / 1e9 - RESOLUTION_MS / 1000);
  eventLoop.reset();
  return p99;
}

export function collectSamples(p: MetricParts): Sample[] {
  const samples: Sample[] = [];
  const put = (
    type: Sample['type'],
    name: string,
    help: string,
    value: number,
    labels?: Record<string, string>,
  ): void => {
    samples.push({ type, name: `sejong_edge_${name}`, help, value, ...(labels ? { labels } : {}) });
  };
  const { counts } = p.accept;
  put('counter', 'accepted_total', 'Envelopes that became entries since start.', counts.accepted);
  put('counter', 'known_total', 'Envelopes that were in the log already and got the same index again.', counts.known);
  put(
    'counter',
    'store_failures_total',
    'Envelopes that the store could not take, so that they were not acknowledged.',
    counts.failed,
  );
  for (const [code, n] of counts.quarantined)
    put('counter', 'quarantined_total', 'Envelopes put into quarantine since start, by reason.', n, { code });
  put('gauge', 'quarantine_held', 'Envelopes that lie in quarantine.', p.quarantine.held);
  put('gauge', 'accept_pending', 'Envelopes that are being checked or written.', p.accept.pending);
  put('counter', 'serial_entries_total', 'Entries read over serial lines since start.', p.serialEntries());
  for (const port of p.serial.state()) {
    const labels = { port: port.name };
    const sum = (of: (device: (typeof port.devices)[number]) => number) => port.devices.reduce((n, d) => n + of(d), 0);
    put('gauge', 'serial_port_open', '1 while the port is open.', port.state === 'open' ? 1 : 0, labels);
    put('counter', 'serial_opens_total', 'Times that the port was opened since start.', port.opens, labels);
    put('counter', 'serial_requests_total', 'Exchanges on the line since start.', port.requests, labels);
    put('counter', 'serial_bus_seconds_total', 'Time in which exchanges had the line.', port.busMs / 1000, labels);
    const wasted = sum((d) => d.wastedMs) / 1000;
    put('counter', 'serial_wasted_seconds_total', 'Of that, for polls that gave nothing.', wasted, labels);
    const failing = sum((d) => (d.state === 'failing' ? 1 : 0));
    put('gauge', 'serial_failing', 'Devices whose last poll gave nothing, or that are not heard.', failing, labels);
    for (const driver of new Set(port.devices.map((d) => d.driver))) {
      const values = sum((d) => (d.driver === driver ? d.values : 0));
      put('counter', 'serial_values_total', 'Readings handed on since start.', values, { ...labels, driver });
    }
    for (const kind of new Set(port.devices.flatMap((d) => Object.keys(d.errors)))) {
      const errors = sum((d) => d.errors[kind as keyof typeof d.errors] ?? 0);
      put('counter', 'serial_errors_total', 'What went wrong on the line since start.', errors, { ...labels, kind });
    }
  }
  put('gauge', 'log_size', 'Entries in the log.', p.log.size);
  put('gauge', 'checkpoint_size', 'Entries under the newest checkpoint.', p.log.latest?.size ?? 0);
  put('gauge', 'checkpoint_held', '1 while no checkpoint may be signed.', p.checkpointer.held === undefined ? 0 : 1);
  put('gauge', 'log_epoch', 'Number of the epoch of the log: above 1, a database was lost.', p.epoch.number);
  put('gauge', 'databases_aside', 'Databases that were set aside and lie in the data folder.', p.epoch.asides.length);
  put('gauge', 'devices', 'Devices that are enrolled.', p.devices.count);
  put('gauge', 'store_commit_seconds', 'How long the last transaction took.', p.store.commits.lastMs / 1000);
  put('counter', 'store_commits_total', 'Transactions since start.', p.store.commits.count);
  put('gauge', 'disk_free_bytes', 'Bytes that the database may still take, by its quota and its disk.', p.disk.free);
  put('gauge', 'disk_reserve_bytes', 'Bytes of them that readings never get.', p.disk.reserve);
  put(
    'counter',
    'refused_for_disk_total',
    'Envelopes that had no room above the reserve, so that they were not acknowledged.',
    counts.refusedForDisk,
  );
  put('counter', 'pruned_total', 'Entries whose payloads were pruned by age, since start.', p.retention.counts.pruned);
  put('counter', 'thinned_total', 'Entries whose payloads were thinned, since start.', p.retention.counts.thinned);
  put('counter', 'forgotten_total', 'Entries whose contents were destroyed, since start.', p.forgetting.count);
  put('gauge', 'forget_pending', '1 while traces of what was forgotten may be left.', p.forgetting.pending ? 1 : 0);
  put('counter', 'gaps_lost_total', 'Gaps of devices that were declared lost since start.', counts.declaredLost);
  put('gauge', 'minimum_index', 'Every entry from here on has its payload.', p.log.minimumIndex);
  const written = writtenBytes();
  if (written !== undefined)
    put('counter', 'written_bytes_total', 'Bytes that the process sent to disks since start.', written);
  put('gauge', 'mqtt_connected', 'Clients that are connected.', p.mqtt.connected);
  const { connections, logins, loginsRefused, malformed, forbidden, undelivered, throttledMs, keepAliveTimeouts } =
    p.mqtt.counts;
  put('counter', 'mqtt_connections_total', 'Connections since start.', connections);
  put('counter', 'mqtt_logins_total', 'Logins since start.', logins);
  put('counter', 'mqtt_logins_refused_total', 'Logins refused since start.', loginsRefused);
  put('counter', 'mqtt_tls_failed_total', 'TLS handshakes that came to nothing.', p.mqtt.counts.handshakesFailed);
  put('counter', 'mqtt_malformed_total', 'Connections closed for a malformed packet or one over a cap.', malformed);
  put('counter', 'mqtt_forbidden_total', 'Publishes and subscriptions refused for their topic.', forbidden);
  put('counter', 'mqtt_undelivered_total', 'Messages left out because their reader did not read.', undelivered);
  put(
    'counter',
    'mqtt_throttled_seconds_total',
    'Time that devices over their rate were made to wait.',
    throttledMs / 1000,
  );
  put(
    'counter',
    'mqtt_keep_alive_timeouts_total',
    'Connections closed because nothing came for 1.5 times their keep-alive.',
    keepAliveTimeouts,
  );
  for (const severity of ['warning', 'alarm'] as const)
    put('gauge', 'alarms_open', 'Alarms that are open: what needs a person.', p.alarms.count(severity), { severity });
  for (const [cap, n] of p.caps)
    put('counter', 'cap_hits_total', 'How often a cap was reached, by its key in the config.', n, { cap });
  for (const [listener, { validToMs }] of p.certificates)
    put('gauge', 'certificate_expires_seconds', 'When the certificate ends, in Unix seconds.', validToMs / 1000, {
      listener,
    });
  for (const [listener, { counts }] of p.certificates)
    for (const [result, n] of Object.entries(counts))
      put('counter', 'certificate_reloads_total', 'New certificates found in their files, by what came of it.', n, {
        listener,
        result,
      });
  put(
    'counter',
    'live_skipped_total',
    'Readings left out of the live topics because they were too far behind.',
    p.live.skipped,
  );
  put(
    'counter',
    'receipts_skipped_total',
    'Entries whose receipts were not sent to their devices because there were too many at once.',
    p.receipts.skipped,
  );
  put('gauge', 'clock_synced', '1 when the wall clock was set from outside.', p.now().clockSynced ? 1 : 0);
  put(
    'gauge',
    'event_loop_delay_seconds',
    'How late the event loop was, 99th percentile since the last look at the metrics.',
    eventLoopDelay(),
  );
  put('gauge', 'uptime_seconds', 'Time since start.', (performance.now() - p.startedAt) / 1000);
  put('gauge', 'resident_memory_bytes', 'Resident memory of the gateway process.', process.memoryUsage.rss());
  const chain = p.anchorer?.state;
  if (chain) {
    put('gauge', 'chain_reachable', '1 when the chain answered last time.', chain.reachable ? 1 : 0);
    put('gauge', 'anchored_size', "Entries under the contract's head.", chain.headSize);
    put('gauge', 'anchors_pending', 'Transactions on their way.', chain.pending);
    put('counter', 'anchors_total', 'Anchors mined, ever.', p.anchorer?.transactions.anchored().count ?? 0);
  }
  const registry = p.registry.state;
  if (registry) {
    put(
      'gauge',
      'registry_reachable',
      '1 when the chain of the registry answered last time.',
      registry.reachable ? 1 : 0,
    );
    if (registry.ageSeconds !== null)
      put('gauge', 'registry_age_seconds', "How old the table of the city's registry is.", registry.ageSeconds);
    put('gauge', 'registry_block', 'All events up to this block are in the table.', registry.block ?? 0);
    put('gauge', 'registry_devices', "Devices that are or were on the city's registry.", registry.devices);
    put('gauge', 'registry_events', "Events of the city's registry in the table.", registry.events);
    put('counter', 'registry_rewinds_total', 'Times that the chain took blocks back since start.', registry.rewinds);
  }
  const peers = p.witnesses.state();
  if (peers.length > 0) {
    put(
      'gauge',
      'witnessed_size',
      'Entries under the newest checkpoint with a quorum of cosignatures.',
      p.witnesses.witnessedSize,
    );
    put('gauge', 'unwitnessed', '1 while the newest checkpoint lacks its quorum.', p.witnesses.unwitnessed ? 1 : 0);
  }
  for (const { name: witness, reachable } of peers)
    put('gauge', 'witness_reachable', '1 when the witness gave its word last time.', reachable ? 1 : 0, { witness });
  for (const { name: witness, size } of peers)
    put('gauge', 'witness_cosigned_size', 'Entries under the newest checkpoint it cosigned.', size, { witness });
  put('counter', 'cosigned_total', 'Checkpoints of other logs cosigned since start.', p.witness.counts.cosigned);
  for (const [code, n] of p.witness.counts.refused)
    put('counter', 'cosign_refused_total', 'Cosignatures refused since start, by reason.', n, { code });
  for (const origin of p.witness.origins)
    put('gauge', 'cosigned_size', 'Entries of another log that we cosigned.', p.witness.held(origin)?.size ?? 0, {
      origin,
    });
  for (const origin of p.witness.origins)
    for (const kind of ['split', 'unproven'] as const)
      put(
        'gauge',
        'witness_evidence',
        'Checkpoints of another log that contradict what we hold of it, kept.',
        p.witness.evidence.count(origin, kind),
        { origin, kind },
      );
  samples.push(...p.checkSamples(), ...p.creditSamples());
  return samples;
}

/** What wears flash, as the kernel counts it (proc(5), /proc/pid/io); undefined where it says nothing. */
function writtenBytes(): number | undefined {
  try {
    const found = /^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'));
    return found ? Number(found[1]) : undefined;
  } catch {
    return undefined;
  }
}
