/** A shuttle on a loop through Sejong: it keeps to a speed, stops at stops, and charges at the first one. */
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { noiseAt, seedOf } from '../random.ts';
import { resumeFrom, type World } from './world.ts';

type Point = readonly [latitude: number, longitude: number];

/** Stops along the BRT road and back past the lake park; positions are good to about a hundred metres. */
export const ROUTE: readonly Point[] = [
  [36.4803, 127.2538], // Hansol-dong, the depot
  [36.4846, 127.2551], // Saerom-dong
  [36.4889, 127.2572], // Naseong-dong
  [36.4943, 127.2583], // Dodam, south
  [36.4999, 127.2597], // Eojin-dong, terminal
  [36.5042, 127.2641], // Government Complex, west
  [36.5068, 127.2602], // Government Complex, north
  [36.5119, 127.2567], // Dodam-dong
  [36.5164, 127.2533], // Areum-dong
  [36.5176, 127.2618], // Jongchon-dong, east
  [36.5093, 127.2688], // Government Complex, east
  [36.5021, 127.2715], // Presidential Archives
  [36.4976, 127.2699], // National Library
  [36.4937, 127.2754], // Lake Park
  [36.4871, 127.2826], // Bridge to Boram
  [36.4817, 127.2891], // City Hall, Boram-dong
  [36.4829, 127.2982], // Sodam-dong
  [36.4861, 127.2757], // Arboretum
];

const EARTH_M = 6_371_008.8;

/** Great-circle distance in metres (haversine). */
export function metres([lat1, lon1]: Point, [lat2, lon2]: Point): number {
  const rad = Math.PI / 180;
  const h =
    Math.sin(((lat2 - lat1) * rad) / 2) ** 2 +
    Math.cos(lat1 * rad) * Math.cos(lat2 * rad) * Math.sin(((lon2 - lon1) * rad) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(h));
}

const LEGS = ROUTE.map((from, i) => metres(from, ROUTE[(i + 1) % ROUTE.length] as Point));
const SECOND = 1000;
const BRAKE = 1.1; // m/s2
const ACCELERATE = 0.9;
const ARRIVED = 0.5; // m

type State = {
  ms: number;
  /** Legs finished since the first boot: `leg` modulo the stops is where it drives from. */
  leg: number;
  /** Metres into the leg, metres per second, seconds left at the stop. */
  along: number;
  speed: number;
  waiting: number;
  charging: boolean;
  odometerM: number;
  /** State of charge in percent. */
  soc: number;
};

export class Vehicle implements World {
  readonly #traffic: number;
  readonly #stops: number;
  readonly #socPerMetre: number;
  #state: State;

  constructor(options: { seed: number; saved: string; nowMs: number }) {
    const { seed, saved, nowMs } = options;
    const trait = (i: number) => noiseAt(seedOf('vehicle', seed), i);
    this.#traffic = seedOf('traffic', seed);
    this.#stops = seedOf('stops', seed);
    this.#socPerMetre = (0.22 + 0.14 * trait(0)) / 1000;
    this.#state =
      saved !== ''
        ? (JSON.parse(saved) as State)
        : {
            ms: nowMs,
            leg: Math.floor(ROUTE.length * trait(1)),
            along: 0,
            speed: 0,
            waiting: Math.floor(20 * trait(2)),
            charging: false,
            odometerM: Math.floor(60_000_000 * trait(3)),
            soc: 35 + 60 * trait(4),
          };
  }

  sample(ms: number): SenmlRecord[] {
    const s = this.#state;
    s.ms = resumeFrom(s.ms, ms);
    for (; s.ms + SECOND <= ms; s.ms += SECOND) this.#second();
    const from = ROUTE[s.leg % ROUTE.length] as Point;
    const to = ROUTE[(s.leg + 1) % ROUTE.length] as Point;
    const share = s.along / (LEGS[s.leg % ROUTE.length] as number);
    return [
      { n: 'Vehicle.Speed', u: 'km/h', v: round(s.speed * 3.6, 10) },
      { n: 'Vehicle.CurrentLocation.Latitude', u: 'lat', v: round(from[0] + (to[0] - from[0]) * share, 1e6) },
      { n: 'Vehicle.CurrentLocation.Longitude', u: 'lon', v: round(from[1] + (to[1] - from[1]) * share, 1e6) },
      { n: 'Vehicle.TraveledDistance', u: 'km', v: round(s.odometerM / 1000, 1000) },
      { n: 'Vehicle.Powertrain.TractionBattery.StateOfCharge.Current', u: '%', v: round(s.soc, 10) },
    ];
  }

  state(): string {
    return JSON.stringify(this.#state);
  }

  #second(): void {
    const s = this.#state;
    if (s.charging) {
      s.soc = Math.min(90, s.soc + 0.06);
      s.charging = s.soc < 90;
      return;
    }
    if (s.waiting > 0) {
      s.waiting--;
      return;
    }
    const left = (LEGS[s.leg % ROUTE.length] as number) - s.along;
    const limit = 9 + 6 * noiseAt(this.#traffic, s.leg); // m/s: 32 to 54 km/h
    s.speed = Math.min(s.speed + ACCELERATE, limit, Math.max(1, Math.sqrt(2 * BRAKE * left)));
    const step = Math.min(s.speed, left);
    s.along += step;
    s.odometerM += step;
    s.soc = Math.max(1, s.soc - step * this.#socPerMetre);
    if (left - step < ARRIVED) this.#arrive();
  }

  #arrive(): void {
    const s = this.#state;
    s.leg++;
    s.along = 0;
    s.speed = 0;
    s.waiting = 10 + Math.floor(25 * noiseAt(this.#stops, s.leg));
    s.charging = s.leg % ROUTE.length === 0 && s.soc < 30;
  }
}

/** No -0, which has no form in the envelope's CBOR. */
const round = (value: number, perUnit: number): number => Math.round(value * perUnit) / perUnit + 0;
