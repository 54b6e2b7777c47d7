import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_NUMBER, Numbers } from '../edge/numbers.ts';

const LONG_AGO = () => 0;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sejong-numbers-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const tick = () => new Promise((resolve) => setImmediate(resolve));

describe('numbers that are given once', () => {
  it('rise over kills at any moment, and none is given twice', async () => {
    const program = `
      import { writeSync } from 'node:fs';
      import { Numbers } from ${JSON.stringify(new URL('../edge/numbers.ts', import.meta.url).href)};
      const numbers = new Numbers(process.argv[1], () => 0);
      const on = () => {
        try { for (let i = 0; i < 50; i++) writeSync(1, numbers.next('meter') + '\\n'); } catch {}
        setImmediate(on);
      };
      on();`;
    let highest = 0;
    for (let run = 0; run < 6; run++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      for await (const chunk of child.stdout.setEncoding('utf8')) {
        said += chunk as string;
        if (said.length > 3000 * (run + 1)) child.kill('SIGKILL');
      }
      // What was cut off in the pipe is no number.
      const given = said.slice(0, said.lastIndexOf('\n')).split('\n').map(Number);
      expect(given.length).toBeGreaterThan(300);
      for (const next of given) {
        expect(next).toBeGreaterThan(highest);
        highest = next;
      }
    }
  });

  it('moves the block ahead before it is used up, and gives nothing that is not on disk', async () => {
    const numbers = new Numbers(folder, LONG_AGO);
    let given = 0;
    let refused = 0;
    while (given < 5000) {
      try {
        const next = numbers.next('meter');
        given++;
        expect(Number(readFileSync(join(folder, 'meter.numbers'), 'utf8'))).toBeGreaterThanOrEqual(next);
      } catch (error) {
        expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
        refused++;
        await tick();
      }
    }
    // Nobody waited for the disk above: a block used up faster than it writes is refused, and goes on.
    expect(refused).toBeGreaterThan(0);
  });

  it('are beyond those of an older copy of the folder, by the clock', () => {
    const at = Date.UTC(2026, 10, 25);
    const before = new Numbers(folder, () => at).next('meter');
    rmSync(join(folder, 'meter.numbers'));
    expect(new Numbers(folder, () => at + 60_000).next('meter')).toBe(before + 60);
    // A clock that is wrong by decades uses nothing up.
    expect(new Numbers(folder, () => Date.UTC(2150, 0, 1)).next('other')).toBe(1);
  });

  it('are above what the other side has seen, and nothing below is given later', () => {
    const numbers = new Numbers(folder, LONG_AGO);
    expect(numbers.next('meter')).toBe(1);
    const above = numbers.next('meter', 5000);
    expect(above).toBeGreaterThan(5000);
    expect(numbers.next('meter', 3)).toBe(above + 1);
    expect(new Numbers(folder, LONG_AGO).next('meter')).toBeGreaterThan(above + 1);
    expect(() => numbers.next('meter', MAX_NUMBER)).toThrow('all numbers are used');
  });

  it('end where the counter of the cipher ends', () => {
    writeFileSync(join(folder, 'meter.numbers'), `${MAX_NUMBER - 2}\n`, { mode: 0o600 });
    const numbers = new Numbers(folder, LONG_AGO);
    expect(numbers.next('meter')).toBe(MAX_NUMBER - 1);
    expect(numbers.next('meter')).toBe(MAX_NUMBER);
    expect(() => numbers.next('meter')).toThrow('all numbers are used');
    expect(() => new Numbers(folder, LONG_AGO).next('meter')).toThrow('all numbers are used');
  });

  it('do not begin again where the file is damaged or cannot be written', () => {
    writeFileSync(join(folder, 'meter.numbers'), 'x', { mode: 0o600 });
    expect(() => new Numbers(folder, LONG_AGO).next('meter')).toThrow('does not hold a number');
    if (process.getuid?.() === 0) return;
    chmodSync(folder, 0o500);
    expect(() => new Numbers(folder, LONG_AGO).next('other')).toThrow('STORE_UNAVAILABLE');
  });
});
