/**
 * The gate of the demo: a simulated city and the vehicles that come to it, firmware-sim in processes of their own. Good
 * ones pass; between them comes one of each bad kind.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Config } from '../config.ts';
import type { RunInfo } from '../run-info.ts';

const SIM = fileURLToPath(new URL('../../firmware-sim/main.ts', import.meta.url));
const GATE = { name: 'gate-1', zone: 'government', purposes: ['passage'], lat: 36.5042, lon: 127.2641, radiusM: 100 };
/** Those that the city's plan names; the simulator knows more. */
const BAD = [
  ...['revoked', 'expired', 'wrong-issuer', 'cloned-key', 'cloned-registration', 'replayed-check'],
  ...['stolen-presentation', 'gps-spoofed', 'fake-gateway', 'stale-bundle', 'rolled-back-bundle'],
];
/** A vehicle comes so often; every third one is bad until each kind was there. */
const EVERY_SECONDS = 1;
const STOP_MS = 1_500;

/** What firmware-sim says of each vehicle that came. `decision` NONE: it did not believe the gateway. */
export type CheckLine = {
  scenario: string;
  says: string;
  decision: string;
  reason: string;
  expected: string;
  ok: boolean;
};

const folderOf = (data: string): string => join(data, 'sim', 'city');

/** Its bundles are dropped as a file: what moves them needs no right at the gateway, the city's signature is enough. */
const bundleOf = (data: string): string => join(folderOf(data), 'bundle.json');

/** Opens the city of this data folder, or founds it. @returns what the gateway's config says of it */
export async function foundCity(data: string): Promise<Pick<Config['checks'], 'cityDid' | 'bundleFile' | 'gates'>> {
  const zone = `${GATE.zone}:${GATE.purposes.join()}`;
  const args = [SIM, 'issuer', 'init', '--city', folderOf(data), '--zone', zone];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return { cityDid: (JSON.parse(stdout) as { city: string }).city, bundleFile: bundleOf(data), gates: [GATE] };
}

export class Gate {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  static async start(o: {
    data: string;
    gateway: RunInfo;
    seconds: number | undefined;
    say: (line: string) => void;
    came: (line: CheckLine) => void;
  }): Promise<Gate> {
    const { gateway } = o;
    const args = [SIM, 'check', 'pass', ...BAD, '--city', folderOf(o.data), '--mqtt', gateway.mqtt];
    args.push('--bundle', bundleOf(o.data), '--origin', gateway.origin, '--vouch', gateway.did, '--gate', GATE.name);
    args.push('--zone', GATE.zone, '--at', `${GATE.lat},${GATE.lon}`, '--every', String(EVERY_SECONDS), '--quiet');
    if (o.seconds !== undefined) args.push('--for', String(o.seconds));
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Ctrl-C of the terminal comes to us; the vehicles stop when we say so, before the gateway does.
      detached: true,
    });
    if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => o.say(`gate: ${line}`));
    child.on('message', (message: { type: string } & CheckLine) => {
      if (message.type === 'check') o.came(message);
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return new Gate(child);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}
