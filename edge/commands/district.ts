/** The simulated district as the demo runs it: firmware-sim in a process of its own, like any tester would. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EdgeError } from '../errors.ts';
import { openSalvaged } from '../log/salvage.ts';
import type { RunInfo } from '../run-info.ts';
import type { Devices } from '../store/devices.ts';
import type { Entries } from '../store/entries.ts';

export type DistrictOptions = {
  data: string;
  gateway: RunInfo;
  token: string;
  seed: number;
  meters: number;
  plants: number;
  vehicles: number;
  inverters: number;
  /** Serial lines with several devices each; names of firmware-sim. */
  wires: readonly string[];
  p256Every: number;
  every: number;
  /** Plants that come online with a day to certify, and the accounts that own them; names of firmware-sim. */
  creditPlants: readonly string[];
  creditOwners: readonly string[];
  hostile: boolean;
  /** Undefined: until it is stopped. */
  seconds: number | undefined;
  say: (line: string) => void;
};

/** What firmware-sim tells once a second. */
export type Progress = { sent: number; acked: number; buffered: number; refused: Record<string, number> };

const SIM = fileURLToPath(new URL('../../firmware-sim/main.ts', import.meta.url));
/** Ctrl-C must stop all within 3 s; the gateway needs its part of that. */
const STOP_MS = 1_500;
const KST_MS = 9 * 3_600_000;

export class District {
  readonly #child: ChildProcess;
  readonly ended: Promise<void>;
  /** When its devices are enrolled and its ttys are there. */
  readonly ready: Promise<void>;
  progress: Progress = { sent: 0, acked: 0, buffered: 0, refused: {} };

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = new Promise((resolve) => child.once('exit', () => resolve()));
    this.ready = new Promise((resolve) => {
      child.on('message', (message: { type: string }) => {
        if (message.type === 'ready') resolve();
      });
    });
    child.on('message', (message: { type: string } & Progress) => {
      if (message.type === 'progress' || message.type === 'summary') this.progress = message;
    });
  }

  static ackedFile(data: string): string {
    return join(data, 'sim', 'acked.log');
  }

  /** A link left by a run that was killed may point to a terminal that is somebody else's by now. */
  static removeOldLinks(data: string): void {
    const folder = join(data, 'tty');
    if (existsSync(folder)) for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true });
  }

  static async start(o: DistrictOptions): Promise<District> {
    const numbers = {
      meters: o.meters,
      plants: o.plants,
      vehicles: o.vehicles,
      inverters: o.inverters,
      'p256-every': o.p256Every,
      every: o.every,
      seed: o.seed,
    };
    const args = [SIM, 'steady', '--mqtt', o.gateway.mqtt, '--api', o.gateway.http, '--origin', o.gateway.origin];
    for (const [name, n] of Object.entries(numbers)) args.push(`--${name}`, String(n));
    args.push('--state', join(o.data, 'sim'), '--tty-dir', join(o.data, 'tty'), '--acked', District.ackedFile(o.data));
    // The simulated sun begins at eleven, so that there is something to see at night as well.
    args.push('--at', `${new Date(Date.now() + KST_MS).toISOString().slice(0, 10)}T11:00:00`);
    if (o.wires.length > 0) args.push('--wires', o.wires.join());
    if (o.creditPlants.length > 0) args.push('--credit-plants', o.creditPlants.join());
    if (o.creditOwners.length > 0) args.push('--credit-owners', o.creditOwners.join());
    if (o.hostile) args.push('--hostile', 'forged,replay,equivocate');
    if (o.seconds !== undefined) args.push('--for', String(o.seconds));
    args.push('--quiet');
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Ctrl-C of the terminal comes to us; the devices stop when we say so, before the gateway does.
      detached: true,
      env: { ...process.env, SEJONG_TOKEN: o.token },
    });
    if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => o.say(`district: ${line}`));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return new District(child);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await this.ended;
    clearTimeout(timer);
  }
}

/**
 * Each line of the file is an envelope that a device saw acknowledged: `did epoch seq sha256`.
 * @param asides databases of earlier epochs of the log: what they prove is not missing
 */
export async function countMissing(
  file: string,
  devices: Devices,
  entries: Entries,
  asides: readonly string[] = [],
): Promise<{ acked: number; missing: number }> {
  let acked = 0;
  const missing = new Map<string, number>();
  if (!existsSync(file)) return { acked, missing: 0 };
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const m = /^(\S+) (\d+) (\d+) ([0-9a-f]{64})$/.exec(line);
    if (!m) continue; // the torn last line of a simulator that was killed
    acked++;
    const device = devices.get(m[1] as string);
    const entry = device && entries.byCounter(device.id, Number(m[2]), Number(m[3]));
    if (!entry || createHash('sha256').update(entry.envelope).digest('hex') !== m[4])
      missing.set(m[4] as string, (missing.get(m[4] as string) ?? 0) + 1);
  }
  if (missing.size > 0) for (const path of asides) findProven(path, missing);
  return { acked, missing: [...missing.values()].reduce((sum, n) => sum + n, 0) };
}

/** Takes out of `hashes` (SHA-256 in hex) the envelopes that this database proves. */
function findProven(path: string, hashes: Map<string, number>): void {
  let opened: ReturnType<typeof openSalvaged>;
  try {
    opened = openSalvaged(path);
  } catch (error) {
    if (error instanceof EdgeError && error.code === 'STORE_DAMAGED') return;
    throw error;
  }
  const { log, close } = opened;
  try {
    for (const row of log.entries(0)) {
      if (row.idx >= (log.provable?.size ?? 0)) break;
      const envelope = log.open(row)?.envelope;
      const hash = envelope && createHash('sha256').update(envelope).digest('hex');
      if (hash !== undefined && hashes.has(hash) && log.proves(row.idx)) hashes.delete(hash);
    }
  } finally {
    close();
  }
}
