/** What the serial tests share: a place for ttys, a collector of what the intake hands out, and waiting for it. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Driver, DriverType, Medium } from '../../edge/drivers/driver.ts';
import { DRIVERS } from '../../edge/drivers/drivers.ts';
import type { Timed } from '../../edge/intake/serial/serial.ts';
import { loadProfiles } from '../../edge/profiles/load.ts';
import type { Profile } from '../../edge/profiles/profile.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';

export const workFolder = (): { path: (name: string) => string; remove: () => void } => {
  const folder = mkdtempSync(join(tmpdir(), 'sejong-serial-'));
  return { path: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) };
};

const profiles = loadProfiles();

/** The driver of one device, as config and profile would make it. */
export function driverOf(profileName: string, device: Record<string, unknown> = {}, medium: Medium = 'tty'): Driver {
  const { driver, settings, values } = profiles.get(profileName) as Profile;
  const none = () => {
    throw new Error('no secrets, no numbers');
  };
  const setup = { settings, device, values, medium, secret: none, mark: () => undefined, nextNumber: none };
  return (DRIVERS[driver as string] as DriverType).create(setup);
}

export type Submitted = { did: string; records: SenmlRecord[]; reading: Timed; energy: number; at: number };

export class Collector {
  readonly submitted: Submitted[] = [];
  readonly lines: string[] = [];
  /** Runs in submit, before it resolves. */
  onSubmit: ((submitted: Submitted) => void | Promise<void>) | undefined;
  readonly #watchers = new Set<() => void>();

  readonly hooks = {
    submit: async (did: string, reading: Timed) => {
      const { records } = reading;
      const submitted = { did, records, reading, energy: records[0]?.v as number, at: performance.now() };
      this.submitted.push(submitted);
      this.#changed();
      await this.onSubmit?.(submitted);
    },
    report: (line: string, level: 'info' | 'warn') => {
      this.lines.push(`${level}: ${line}`);
      this.#changed();
    },
  };

  of(did: string): Submitted[] {
    return this.submitted.filter((s) => s.did === did);
  }

  /** @param what told when it does not happen in time */
  until(what: string, reached: () => boolean, ms = 20_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        clearInterval(often);
        this.#watchers.delete(look);
        act();
      };
      const timer = setTimeout(
        () =>
          settle(() =>
            reject(
              new Error(`not in ${ms} ms: ${what}; ${this.submitted.length} values, ${JSON.stringify(this.lines)}`),
            ),
          ),
        ms,
      );
      const look = () => {
        if (reached()) settle(resolve);
      };
      this.#watchers.add(look);
      // For what is not told by a value or a line: a counter in state().
      const often = setInterval(look, 20);
      look();
    });
  }

  values(count: number, did?: string, ms?: number): Promise<void> {
    const list = () => (did === undefined ? this.submitted : this.of(did));
    const from = list().length;
    return this.until(`${count} more values`, () => list().length >= from + count, ms);
  }

  line(text: string | RegExp): Promise<void> {
    const reached = () => this.lines.some((l) => (typeof text === 'string' ? l.includes(text) : text.test(l)));
    return this.until(`a line ${text}`, reached);
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }
}

/** Terminals that this process has open. */
export const openTerminals = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^\/dev\/(pts\/|ptmx|tty[A-Z])/.test(target) ? [target] : [];
    } catch {
      return [];
    }
  });
