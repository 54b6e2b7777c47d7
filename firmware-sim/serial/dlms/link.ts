/** A meter's side of a link: it answers, keeps what it said until that was heard, and says it again when it is asked to. */
import { type HeardFrame, say } from './frames.ts';

type Sent = { number: number; body: number[]; segmented: boolean };

export type LinkOptions = {
  /** Bytes of information in a frame that it sends or takes, and frames that it sends in a row. */
  informationBytes: number;
  window: number;
  /** LLC and APDU in, LLC and APDU out. */
  answer: (message: number[], client: number) => number[];
  /** SNRM or DISC: what was agreed is gone. */
  onReset: () => void;
};

export class MeterLink {
  readonly #options: LinkOptions;
  #up = false;
  #bytes: number;
  #window: number;
  /** Numbers of the next frame to send and to hear. */
  #send = 0;
  #hear = 0;
  #unheard: Sent[] = [];
  #waiting: number[][] = [];
  #question: number[] = [];

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#bytes = options.informationBytes;
    this.#window = options.window;
  }

  /** The meter ends the link by itself, as after a long silence. */
  drop(): void {
    this.#up = false;
  }

  /** @returns bytes to say */
  frame({ to, from, control, segmented, body }: HeardFrame): number[] {
    const reply = (answer: number, information: number[] = [], goesOn = false) =>
      say(from, to, answer, information, goesOn);
    if (control === 0x93) {
      this.#connect(body);
      const { informationBytes } = this.#options;
      const size = [this.#bytes >> 8, this.#bytes & 255];
      const items = [5, 2, ...size, 6, 2, informationBytes >> 8, informationBytes & 255];
      items.push(7, 4, 0, 0, 0, this.#window, 8, 4, 0, 0, 0, 1);
      return reply(0x73, [0x81, 0x80, items.length, ...items]);
    }
    if (!this.#up) return reply(0x1f);
    if (control === 0x53) {
      this.#up = false;
      this.#options.onReset();
      return reply(0x73);
    }
    const isQuestion = (control & 1) === 0;
    if (!isQuestion && (control & 15) !== 1) return reply(0x97, [control, this.#hear, 1]);
    const heardUpTo = control >> 5;
    while (this.#unheard.length > 0 && this.#unheard[0]?.number !== heardUpTo) this.#unheard.shift();
    if (isQuestion && ((control >> 1) & 7) === this.#hear) {
      this.#hear = (this.#hear + 1) % 8;
      this.#question.push(...body);
      if (!segmented) {
        const answer = this.#options.answer(this.#question, (from[0] as number) >> 1);
        this.#question = [];
        this.#waiting = [];
        for (let at = 0; at < answer.length; at += this.#bytes) this.#waiting.push(answer.slice(at, at + this.#bytes));
      }
    }
    while (this.#unheard.length < this.#window && this.#waiting.length > 0) {
      this.#unheard.push({
        number: this.#send,
        body: this.#waiting.shift() as number[],
        segmented: this.#waiting.length > 0,
      });
      this.#send = (this.#send + 1) % 8;
    }
    if (this.#unheard.length === 0) return reply((this.#hear << 5) | 0x11);
    return this.#unheard.flatMap(({ number, body: information, segmented: goesOn }, i) => {
      const last = i === this.#unheard.length - 1;
      return reply((this.#hear << 5) | (last ? 0x10 : 0) | (number << 1), information, goesOn);
    });
  }

  #connect(body: number[]): void {
    this.#up = true;
    this.#send = 0;
    this.#hear = 0;
    this.#unheard = [];
    this.#waiting = [];
    this.#question = [];
    this.#bytes = body.length === 0 ? 128 : this.#options.informationBytes;
    // What the client takes in a frame: parameter 6.
    for (let at = 3; at < body.length; at += 2 + (body[at + 1] as number)) {
      if (body[at] !== 6) continue;
      const value = body.slice(at + 2, at + 2 + (body[at + 1] as number)).reduce((sum, byte) => sum * 256 + byte, 0);
      this.#bytes = Math.min(value, this.#options.informationBytes);
    }
    this.#options.onReset();
  }
}
