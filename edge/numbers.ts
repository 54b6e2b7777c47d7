/**
 * Numbers that are given once and never again, over restarts and power cuts: what a cipher must never see twice under one
 * key (an invocation counter). A file beside the keys says up to where they are given away; it moves a block ahead of
 * the numbers that are used, so that the disk is written once in a thousand.
 *
 * A number is also at least the seconds since 2020: with an older copy of the folder put back, what was given since
 * is still not given again, unless more than one a second was.
 */
import { existsSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EdgeError } from './errors.ts';
import { writePrivate } from './keystore.ts';

const BLOCK = 1000;
const SINCE_MS = Date.UTC(2020, 0, 1);
/** A clock beyond this is wrong, and would use numbers up for ever. */
const UNTIL_MS = Date.UTC(2100, 0, 1);
export const MAX_NUMBER = 0xffff_ffff;

type Row = { next: number; reserved: number; reserving: boolean };

export class Numbers {
  readonly #folder: string;
  readonly #now: () => number;
  readonly #rows = new Map<string, Row>();

  constructor(folder: string, now: () => number = Date.now) {
    this.#folder = folder;
    this.#now = now;
  }

  /**
   * @param above the number is also higher than this
   * @returns 1 to 2^32 - 1, higher than all before
   * @throws EdgeError KEY_UNREADABLE where the file is not one; STORE_UNAVAILABLE where it cannot be written, or is not yet;
   * KEY_FIXED where there are no more
   */
  next(name: string, above = 0): number {
    let row = this.#rows.get(name) ?? this.#begin(name, above);
    // The other side has seen more than we ever gave: another client, or another copy of the folder.
    if (above >= row.next) row = this.#begin(name, above);
    if (row.next > MAX_NUMBER)
      throw new EdgeError('KEY_FIXED', `${name}: all numbers are used: give the device another key`);
    if (row.next > row.reserved) {
      this.#ahead(name, row);
      throw new EdgeError('STORE_UNAVAILABLE', `${name}: the next block of numbers is not on disk yet`);
    }
    if (row.reserved - row.next < BLOCK / 2) this.#ahead(name, row);
    return row.next++;
  }

  #begin(name: string, above: number): Row {
    const path = this.#path(name);
    let used = 0;
    if (existsSync(path)) {
      const text = readFileSync(path, 'utf8').trim();
      used = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
      if (Number.isNaN(used))
        throw new EdgeError('KEY_UNREADABLE', `${path} does not hold a number: give the device another key`);
    }
    const now = this.#now();
    const floor = now > SINCE_MS && now < UNTIL_MS ? Math.floor((now - SINCE_MS) / 1000) : 0;
    const next = Math.max(used + 1, floor, above + 1);
    const row = { next, reserved: Math.min(next + BLOCK, MAX_NUMBER), reserving: false };
    // Once, before the first one is used; all later blocks without holding anybody up.
    try {
      writePrivate(path, `${row.reserved}\n`);
    } catch (error) {
      throw new EdgeError('STORE_UNAVAILABLE', `${path}: ${(error as Error).message}`);
    }
    this.#rows.set(name, row);
    return row;
  }

  #ahead(name: string, row: Row): void {
    if (row.reserving || row.reserved === MAX_NUMBER) return;
    row.reserving = true;
    const reserved = Math.min(row.next + BLOCK, MAX_NUMBER);
    const path = this.#path(name);
    writeFile(`${path}.ahead`, `${reserved}\n`, { mode: 0o600, flush: true })
      .then(() => rename(`${path}.ahead`, path))
      .then(
        () => {
          row.reserved = reserved;
        },
        // Told by next(), which has nothing to give once the block is used up.
        () => undefined,
      )
      .finally(() => {
        row.reserving = false;
      });
  }

  #path(name: string): string {
    if (!/^[a-z0-9][a-z0-9.-]{0,100}$/i.test(name)) throw new RangeError(`a name of numbers: ${name}`);
    return join(this.#folder, `${name}.numbers`);
  }
}
