/** What /health says: the state of each part, in words that name what a person should look at. */
import type { Sample } from './api/parts.ts';
import type { HealthView } from './api/views.ts';
import type { MetricParts } from './metrics.ts';

export function describeHealth(parts: MetricParts, name: string, did: string, version: string): HealthView {
  const { log, checkpointer, mqtt, serial, quarantine, devices, anchorer, witnesses, witness, store } = parts;
  const { now, startedAt, accept, epoch, retention, registry } = parts;
  const chain = anchorer?.state;
  const ports = serial.state();
  const list: HealthView['parts'] = {
    store: {
      ok: !accept.failing,
      detail: `${log.size} entries, last commit ${store.commits.lastMs.toFixed(1)} ms`,
    },
    disk: {
      ok: retention.level === 'ok',
      detail: `${retention.level === 'full' ? 'DISK_RESERVE: ' : ''}${retention.detail}`,
    },
    log: {
      ok: checkpointer.held === undefined,
      detail: checkpointer.held ?? `checkpoint of ${log.latest?.size ?? 0} entries`,
    },
    mqtt: { ok: true, detail: `${mqtt.connected} connected, ${devices.count} devices enrolled` },
    quarantine: { ok: true, detail: `${quarantine.held} envelopes` },
    clock: { ok: now().clockSynced, detail: now().clockSynced ? 'synced' : 'not known to be synced' },
  };
  if (chain)
    list.chain = {
      ok: chain.reachable && chain.problem === undefined,
      detail:
        chain.problem ??
        (chain.reachable
          ? `${chain.headSize} entries anchored at ${chain.contract} on chain ${chain.chainId}`
          : 'it has not answered yet'),
    };
  const table = registry.state;
  if (table) {
    const age = table.ageSeconds === null ? 'never read' : `${table.ageSeconds} s old`;
    list.registry = {
      ok: table.reachable && table.problem === undefined,
      detail: [
        `${table.devices} devices at block ${table.block ?? 0}, ${age}`,
        ...(table.problem ? [table.problem] : []),
      ].join('; '),
    };
  }
  const peers = witnesses.state();
  if (peers.length > 0) {
    const size = log.latest?.size ?? 0;
    const problems = peers.flatMap(({ problem }) => problem ?? []);
    list.witnesses = {
      ok: witnesses.ok,
      detail: [
        `checkpoint of ${size} entries ${witnesses.unwitnessed ? 'unwitnessed' : 'witnessed'}: cosigned by ${witnesses.cosigned(size)} of ${peers.length}, a quorum is ${witnesses.quorum}`,
        ...problems,
      ].join('; '),
    };
  }
  if (witness.origins.length > 0) {
    const split = witness.origins.filter((origin) => witness.evidence.count(origin, 'split') > 0);
    list.witness = {
      ok: split.length === 0,
      detail:
        split.length === 0
          ? `witness of ${witness.origins.length} logs`
          : `two histories signed by ${split.join(', ')}: see GET /witness/evidence`,
    };
  }
  for (const port of ports)
    list[`serial ${port.name}`] = { ok: port.state !== 'away', detail: port.error ?? port.state };
  for (const [name, certificate] of parts.certificates) list[`${name} tls`] = certificate.health();
  const config = parts.configHealth();
  if (config) list.config = config;
  const credits = parts.creditHealth();
  if (credits) list.credits = credits;
  const checks = parts.checkHealth();
  if (checks) list.checks = checks;
  const flows = parts.flowsHealth();
  if (flows) list.flows = flows;
  const before = epoch.health();
  if (before) list.epoch = before;
  // A clock that nobody vouches for is said, and is no alarm by itself; and flows are somebody else's.
  const ok = Object.entries(list).every(([name, part]) => part.ok || name === 'clock' || name === 'flows');
  return {
    status: ok ? 'ok' : 'degraded',
    origin: name,
    log: log.origin,
    did,
    version,
    uptimeSeconds: Math.floor((performance.now() - startedAt) / 1000),
    parts: list,
  };
}

/** What /metrics shows of it: so that one rule watches all parts, those too that are yet to come. */
export const healthSamples = ({ parts }: HealthView): Sample[] =>
  Object.entries(parts).map(([part, { ok }]) => ({
    type: 'gauge',
    name: 'sejong_edge_part_ok',
    help: '1 while the part of the gateway is well, as GET /health says it, with what to look at.',
    value: ok ? 1 : 0,
    labels: { part },
  }));
