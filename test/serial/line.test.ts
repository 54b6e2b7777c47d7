import { existsSync } from 'node:fs';
import { SerialPort } from 'serialport';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SerialLine } from '../../firmware-sim/serial/line.ts';
import type { Say, WireStation } from '../../firmware-sim/serial/station.ts';
import { openTerminals, workFolder } from './rig.ts';

/** Says back what it hears, and tells of silences. */
class Parrot implements WireStation {
  readonly heard: number[] = [];
  silences = 0;
  say: Say | undefined;
  plug(say: Say): void {
    this.say = say;
  }
  hear(chunk: Uint8Array): void {
    this.heard.push(...chunk);
    this.say?.(chunk);
  }
  silence(): void {
    this.silences++;
  }
  unplug(): void {
    this.say = undefined;
  }
}

async function open(path: string, baudRate = 9600) {
  const port = new SerialPort({ path, baudRate, autoOpen: false });
  await new Promise<void>((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
  const heard: number[] = [];
  let watch = () => {};
  port.on('data', (chunk: Buffer) => {
    heard.push(...chunk);
    watch();
  });
  port.on('error', () => {});
  return {
    port,
    heard,
    write: (...bytes: number[]) => port.write(Buffer.from(bytes)),
    until: (count: number) =>
      new Promise<void>((resolve) => {
        watch = () => {
          if (heard.length >= count) resolve();
        };
        watch();
      }),
    close: () => new Promise((resolve) => (port.isOpen ? port.close(resolve) : resolve(undefined))),
  };
}

let folder: ReturnType<typeof workFolder>;
let terminals: string[];
beforeEach(() => {
  folder = workFolder();
  terminals = openTerminals();
});
afterEach(() => {
  expect(openTerminals()).toEqual(terminals);
  folder.remove();
});

const numbers = (count: number) => Array.from({ length: count }, (_, i) => (i * 7) & 0xff);

describe('a simulated wire', () => {
  it('carries both ways to all its stations, and may come back under another name', async () => {
    const [one, two] = [new Parrot(), new Parrot()];
    const line = new SerialLine(folder.path('ttyUSB0'), [one, two], 1);
    line.plug();
    const first = await open(folder.path('ttyUSB0'));
    first.write(1, 2, 3);
    await first.until(6);
    expect(first.heard).toEqual([1, 2, 3, 1, 2, 3]);
    await line.unplug();
    await first.close();
    expect(one.say).toBeUndefined();
    expect(existsSync(folder.path('ttyUSB0'))).toBe(false);
    line.plug(folder.path('ttyUSB1'));
    const second = await open(folder.path('ttyUSB1'));
    second.write(...numbers(300));
    await second.until(600);
    expect(two.heard).toEqual([1, 2, 3, ...numbers(300)]);
    expect(line.passed).toEqual({ down: 303, up: 606 });
    await second.close();
    await line.unplug();
  });

  it('damages and loses bytes in both directions, the same ones for the same seed', async () => {
    const run = async (seed: number) => {
      const parrot = new Parrot();
      const line = new SerialLine(folder.path('tty'), [parrot], seed);
      line.plug();
      Object.assign(line.faults, { corrupt: 0.05, lose: 0.05 });
      const end = await open(folder.path('tty'));
      end.write(...numbers(200));
      // The last byte may be a lost one: what is said afterwards is not.
      while (line.passed.down < 200) await new Promise((resolve) => setTimeout(resolve, 1));
      line.faults.lose = 0;
      line.faults.corrupt = 0;
      const sofar = parrot.heard.length;
      parrot.say?.(Uint8Array.of(0xee));
      await new Promise<void>((resolve) => {
        end.port.on('data', () => end.heard.at(-1) === 0xee && resolve());
        if (end.heard.at(-1) === 0xee) resolve();
      });
      await end.close();
      await line.unplug();
      return { down: parrot.heard.slice(0, sofar), up: end.heard };
    };
    const first = await run(1);
    expect(first.down.length).toBeGreaterThan(170);
    expect(first.down.length).toBeLessThan(200);
    expect(first.up.length - 1).toBeLessThan(first.down.length);
    expect(first.down).not.toEqual(numbers(200).slice(0, first.down.length));
    expect(await run(1)).toEqual(first);
    expect(await run(2)).not.toEqual(first);
  });

  it('paced, nothing arrives before its bits could have, and all of it in order', async () => {
    const parrot = new Parrot();
    const line = new SerialLine(folder.path('tty'), [parrot], 1, { baudRate: 9600 });
    line.plug();
    const end = await open(folder.path('tty'));
    const from = performance.now();
    end.write(...numbers(60));
    await end.until(1);
    // At 9,600 baud a character takes 1.04 ms, there and back.
    expect(performance.now() - from).toBeGreaterThan(2);
    await end.until(60);
    const took = performance.now() - from;
    expect(end.heard).toEqual(numbers(60));
    expect(took).toBeGreaterThan((61 * 10_000) / 9600);
    // Whoever hears the end knows the silence.
    expect(parrot.silences).toBeLessThanOrEqual(2);
    await end.close();
    await line.unplug();
  });
});
