/** The demo's plants, certificates and trade: looks at them now and then, and says what is new. */
import type { Gateway } from '../gateway.ts';
import { type Crediting, Plants, sortOf } from './plants.ts';
import { type Places, Trade } from './trade.ts';

const EVERY_MS = 2_000;

/** One of each sort that the simulator has; the first is the one whose energy is traded. */
export const CREDIT_PLANTS = ['honest', 'swapped', 'rollover', 'liar', 'duplicate', 'profile', 'storage'];

export class Energy {
  readonly #say: (line: string) => void;
  readonly #trade: Trade;
  #plants: Plants | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(data: string, say: (line: string) => void) {
    this.#say = say;
    this.#trade = new Trade(data, say);
  }

  /** Accounts that own the plants, in their order; where none is named it is the gateway's. */
  get owners(): string[] {
    return [this.#trade.owner];
  }

  watch(gateway: Gateway, crediting: Crediting): void {
    const { places } = crediting;
    if (places) this.#say(`credits contract ${places.credits}, market ${places.market ?? 'none'}`);
    this.#plants = new Plants(gateway, crediting, this.#say, Math.floor(Date.now() / 1000));
    const sub = (sort: string): string | undefined =>
      gateway.parts.devices.list().find(({ label }) => sortOf(label) === sort)?.sub;
    this.#timer = setInterval(() => {
      this.#plants?.look();
      const [plant, battery] = [sub('honest'), sub('storage')];
      if (plant && battery) void this.#trade.look(placesOf(crediting), crediting.rows, plant, battery);
    }, EVERY_MS);
  }

  /** When the plants are enrolled. */
  introduce(): void {
    this.#plants?.introduce();
  }

  /** What is known and not said yet is said. */
  stop(): void {
    clearInterval(this.#timer);
    this.#plants?.look();
  }
}

/** Where the embedded chain's people trade. */
function placesOf({ places }: Crediting): Places | undefined {
  if (!places?.krw || !places.market || !places.issue) return undefined;
  const { krw, market, issue } = places;
  return { ...places, krw, market, issue };
}
