/**
 * A copy of the registry beside the database, for the day on which the database is lost: a line of JSON for each
 * enrolment and each change, so that a change costs one small append and not a file. Mode 0600. Of secrets it has the
 * hashes only. The database is the truth; nobody waits for this.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import type { Device } from './devices.ts';

export type Registered = Omit<Device, 'counter'>;

/** Lines beyond twice the devices, and these, are worth a new file. */
const SLACK = 64;
const FINAL = new Set<string>(['revoked', 'replaced']);

const encode = ({ counter: _, secretHash, ...device }: Device | (Registered & { counter?: undefined })): string =>
  `${JSON.stringify({ ...device, secretHash: secretHash ? Buffer.from(secretHash).toString('hex') : null })}\n`;

function decode(line: string): Registered | undefined {
  try {
    const d = JSON.parse(line) as Record<string, unknown>;
    const texts = ['did', 'kind', 'custody', 'sub', 'status'].every((key) => typeof d[key] === 'string');
    const numbers = ['id', 'enrolledMs', 'updatedMs'].every((key) => Number.isSafeInteger(d[key]));
    if (!texts || !numbers) return undefined;
    const secretHash = typeof d.secretHash === 'string' ? Uint8Array.from(Buffer.from(d.secretHash, 'hex')) : null;
    // Lines that are older than that field have none.
    return {
      ...(d as unknown as Registered),
      registerModulusWh: (d.registerModulusWh as number | undefined) ?? null,
      secretHash,
    };
  } catch {
    return undefined; // the torn last line of a power cut
  }
}

/** Of two states of one device the one to believe: what is final stays, else the later one. */
export const newer = (a: Registered, b: Registered): Registered =>
  FINAL.has(a.status) !== FINAL.has(b.status) ? (FINAL.has(a.status) ? a : b) : b.updatedMs >= a.updatedMs ? b : a;

export class Registry {
  readonly #path: string;
  readonly #report: (problem: unknown) => void;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string, report: (problem: unknown) => void) {
    this.#path = path;
    this.#report = report;
  }

  read(): Map<string, Registered> {
    return this.#read().devices;
  }

  #read(): { devices: Map<string, Registered>; lines: number } {
    const devices = new Map<string, Registered>();
    const lines = existsSync(this.#path) ? readFileSync(this.#path, 'utf8').split('\n').filter(Boolean) : [];
    for (const line of lines) {
      const device = decode(line);
      if (!device) continue;
      const held = devices.get(device.did);
      devices.set(device.did, held ? newer(held, device) : device);
    }
    return { devices, lines: lines.length };
  }

  /** At start: what the database has and this has not. Nothing is forgotten: the database may be an old copy. */
  catchUp(devices: readonly Device[]): void {
    const { devices: held, lines } = this.#read();
    let missing = 0;
    for (const { counter: _, ...device } of devices) {
      const mine = held.get(device.did);
      const best = mine ? newer(device, mine) : device; // of two alike the one that is there
      if (best === mine) continue;
      held.set(device.did, best);
      missing++;
    }
    if (missing === 0 && lines <= 2 * held.size + SLACK) return;
    writeFileSync(`${this.#path}.new`, [...held.values()].map(encode).join(''), { mode: 0o600, flush: true });
    renameSync(`${this.#path}.new`, this.#path);
  }

  /** One more line, soon. Begins with a line break, so that a torn line before it stays the only one that is lost. */
  keep(device: Device): void {
    const line = `\n${encode(device)}`;
    this.#last = this.#last.then(() => appendFile(this.#path, line, { mode: 0o600, flush: true })).catch(this.#report);
  }

  /** Resolves when all that was to be kept is kept. */
  idle(): Promise<void> {
    return this.#last;
  }
}
