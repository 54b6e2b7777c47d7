/**
 * The simplest protocol there can be, to try the bus and nothing else: `A?` is answered by `A=5`, a line each; a
 * device may also say `A=5` by itself.
 */
import {
  ask,
  type Exchange,
  type HeardDriver,
  type Job,
  type Parser,
  type PolledDriver,
} from '../../edge/drivers/driver.ts';
import { SerialFault } from '../../edge/drivers/fault.ts';
import type { Say, WireStation } from '../../firmware-sim/serial/station.ts';

const LINE = /(\w)=(\d+)(!?)\n/;

class WordParser implements Parser<number> {
  begun = false;
  heard = 0;
  readonly #name: string;
  #text = '';
  constructor(name: string) {
    this.#name = name;
  }
  push(chunk: Uint8Array): number | undefined {
    this.heard += chunk.length;
    this.#text += Buffer.from(chunk).toString('latin1');
    this.begun = this.#text.includes(`${this.#name}=`);
    const found = new RegExp(`${this.#name}=(\\d+)\n`).exec(this.#text);
    return found === null ? undefined : Number(found[1]);
  }
}

export const question = (name: string, more: Partial<Exchange<number>> = {}): Exchange<number> => ({
  send: Buffer.from(`${name}?\n`),
  parser: new WordParser(name),
  answerBytes: 8,
  ...more,
});

const records = (v: number) => [{ n: '1-0:1.8.0', u: 'Wh', v }];

/** Asks its question `times`, and gives the last answer. */
export function asker(
  name: string,
  {
    times = 1,
    whole = false,
    discovered = true,
    ...more
  }: Partial<Exchange<number>> & {
    times?: number;
    whole?: boolean;
    discovered?: boolean;
  } = {},
): PolledDriver & { resets: number } {
  const driver = {
    resets: 0,
    whole,
    *poll(): Job {
      let v = 0;
      for (let i = 0; i < times; i++) v = yield* ask(question(name, more));
      return [{ records: records(v), quality: 'Good' as const }];
    },
    reset() {
      driver.resets++;
    },
    discovered: () => discovered,
    about: () => undefined,
  };
  return driver;
}

/** Hears lines `X=5` of its name. `X=5!` has a wrong checksum. */
export function listener(name: string): HeardDriver {
  let text = '';
  return {
    hear(chunk) {
      text += Buffer.from(chunk).toString('latin1');
      const said = [];
      for (let match = LINE.exec(text); match !== null; match = LINE.exec(text)) {
        text = text.slice(match.index + match[0].length);
        if (match[1] !== name) continue;
        said.push(
          match[3] === '!'
            ? new SerialFault('corrupt', 'a wrong checksum')
            : { records: records(Number(match[2])), quality: 'Good' as const },
        );
      }
      return said;
    },
    reset() {
      text = '';
    },
    about: () => undefined,
  };
}

/** Answers its own question with a number that grows by one at each. */
export class WordStation implements WireStation {
  silent = false;
  delayMs = 0;
  value = 0;
  /** performance.now() of each question. */
  readonly asked: number[] = [];
  onAsked: (() => void) | undefined;
  readonly #name: string;
  #say: Say | undefined;
  #text = '';
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(name: string) {
    this.#name = name;
  }
  plug(say: Say): void {
    this.#say = say;
    this.#text = '';
  }
  hear(chunk: Uint8Array): void {
    this.#text += Buffer.from(chunk).toString('latin1');
    for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n')) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      if (line !== `${this.#name}?`) continue;
      this.asked.push(performance.now());
      this.onAsked?.();
      if (this.silent) continue;
      const answer = `${this.#name}=${++this.value}`;
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.say(answer);
      }, this.delayMs);
      this.#timers.add(timer);
    }
  }
  say(text: string): void {
    this.#say?.(Buffer.from(`${text}\n`));
  }
  unplug(): void {
    this.#say = undefined;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
