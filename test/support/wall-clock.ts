/** The wall clock of this process, set by a test as ntpd or a bad battery sets it: for all code, libraries too. */
import { onTestFinished } from 'vitest';

const Real = Date;
export const YEAR_MS = 365 * 86_400_000;

export class WallClock {
  /** What it is off by. */
  offsetMs = 0;

  constructor() {
    const clock = this;
    class Shifted extends Real {
      constructor(...args: unknown[]) {
        super(...((args.length === 0 ? [Real.now() + clock.offsetMs] : args) as [number]));
      }
      static override now(): number {
        return Real.now() + clock.offsetMs;
      }
    }
    globalThis.Date = Shifted as DateConstructor;
    onTestFinished(() => {
      globalThis.Date = Real;
    });
  }
}
