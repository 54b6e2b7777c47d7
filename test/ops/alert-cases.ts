/**
 * For each alert: series with which it must fire, and series with which it must not, a sample a minute, looked at after
 * `at`. As promtool writes them: "0x10" is eleven times 0, "0+5x10" rises by 5.
 */
type Case = { bad: Record<string, string>; well: Record<string, string>; at: string };

const I = 'instance="edge:8080", job="sejong-edge"';
const gauge = (name: string, bad: string, well: string, at: string, labels = ''): Case => {
  const series = `sejong_edge_${name}{${I}${labels && `, ${labels}`}}`;
  return { bad: { [series]: bad }, well: { [series]: well }, at };
};
const both = (a: Case, b: Case): Case => ({
  bad: { ...a.bad, ...b.bad },
  well: { ...a.well, ...b.well },
  at: a.at,
});

export const CASES: Record<string, Case> = {
  GatewayDown: { bad: { [`up{${I}}`]: '0x10' }, well: { [`up{${I}}`]: '1 0 1x10' }, at: '5m' },
  GatewayRestarts: gauge('uptime_seconds', '60 10 20 5 15 2 12x20', '60 10 70x20', '10m'),
  PartUnwell: gauge('part_ok', '0x30', '1 0x5 1x30', '15m', 'part="disk"'),
  AlarmOpen: gauge('alarms_open', '1x20', '1x2 0x20', '10m', 'severity="alarm"'),
  ClockNotSynced: gauge('clock_synced', '0x30', '0x5 1x30', '20m'),
  StoreFails: gauge('store_failures_total', '0+1x20', '7x20', '10m'),
  DiskAtReserve: gauge('refused_for_disk_total', '0+1x20', '7x20', '10m'),
  DiskFills: both(
    // 10 MB a minute are 43 GB in three days; 1 MB are 4.3 GB.
    gauge('disk_free_bytes', '20000000000-10000000x400', '20000000000-1000000x400', '400m'),
    gauge('disk_reserve_bytes', '64000000x400', '64000000x400', '400m'),
  ),
  CommitsSlow: gauge('store_commit_seconds', '1.5x20', '1.5x5 0.2 1.5x20', '12m'),
  EventLoopLate: gauge('event_loop_delay_seconds', '0.3x20', '0.3x5 0.01 0.3x20', '12m'),
  MemoryHigh: gauge('resident_memory_bytes', '2000000000x30', '300000000x30', '20m'),
  NothingComes: gauge('accepted_total', '0+60x60 3600x60', '0+60x120', '110m'),
  Forged: gauge('quarantined_total', '0+1x20', '3x20', '10m', 'code="EQUIVOCATION"'),
  LoginsRefused: gauge('mqtt_logins_refused_total', '0+120x30', '0+6x30', '25m'),
  CheckpointHeld: gauge('checkpoint_held', '1x20', '1x3 0x20', '10m'),
  DatabaseAside: gauge('databases_aside', '1x5', '0x5', '2m'),
  ChainAway: gauge('chain_reachable', '0x30', '0x10 1x30', '20m'),
  NotAnchored: both(
    both(
      gauge('log_size', '100+10x150', '100+10x150', '140m'),
      gauge('uptime_seconds', '0+60x150', '0+60x150', '140m'),
    ),
    gauge('anchored_size', '90x150', '90x60 700x90', '140m'),
  ),
  RegistryOld: gauge('registry_age_seconds', '4000x20', '40x20', '10m'),
  Unwitnessed: gauge('unwitnessed', '1x60', '1x20 0x60', '40m'),
  TwoHistories: gauge('witness_evidence', '1x5', '0x5', '2m', 'kind="split", origin="other.example"'),
  // promtool's time begins at 0.
  TlsCertificateEnds: gauge('certificate_expires_seconds', '600000x5', '6000000x5', '2m', 'listener="mqtt"'),
  SerialPortAway: gauge('serial_port_open', '0x30', '0x5 1x30', '15m', 'port="/dev/ttyUSB0"'),
  SerialDevicesFail: gauge('serial_failing', '2x30', '2x5 0x30', '20m', 'port="/dev/ttyUSB0"'),
  StatusListsOld: gauge('check_status_age_seconds', '30000x20', '300x20', '10m'),
  ChecksFail: gauge('check_failures_total', '0+1x20', '7x20', '10m'),
  CreditsStuck: both(
    gauge('credits_pending', '1x150', '1x60 0 1x89', '140m'),
    gauge('uptime_seconds', '0+60x150', '0+60x150', '140m'),
  ),
};
