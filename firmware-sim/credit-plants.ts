/** Plants whose energy becomes certificates (worlds/credit-plant.ts), and a meter of one of them that is swapped. */
import { join } from 'node:path';
import { Device, type Enrolment } from './device.ts';
import { openIdentity } from './identity.ts';
import { Place, type PlaceOptions } from './place.ts';
import type { Shared } from './station.ts';
import { CreditPlant, type CreditSort, ROLLOVER_WH, registeredW } from './worlds/credit-plant.ts';

export const CREDIT_PLANTS = ['honest', 'swapped', 'rollover', 'liar', 'duplicate', 'profile', 'storage'] as const;
export type CreditPlantName = (typeof CREDIT_PLANTS)[number];

/** The first day of `duplicate` is of 50 envelopes, and all of them are held before the first is sent. */
export const LEAST_BUFFER = 64;

const SAYS: Readonly<Record<CreditPlantName, string>> = {
  honest: 'honest',
  swapped: 'its meter was swapped in the middle of the day',
  rollover: `its register begins anew at ${ROLLOVER_WH} Wh`,
  liar: 'registered with less than it gives',
  duplicate: 'sends its day twice',
  profile: 'sends a day as one profile, signed with P-256',
  storage: 'a battery',
};

/** Says to the gateway that a meter was swapped, with both registers in Wh. */
export type Replace = (did: string, by: string, finalWh: number, initialWh: number) => Promise<void>;

export type CreditPlantOptions = {
  name: CreditPlantName;
  state: string;
  seed: number;
  seeded: boolean;
  ordinal: number;
  shared: Shared;
  /** Unix milliseconds, real. */
  now: () => number;
  owner: string | undefined;
  /** Undefined where nobody can be told. */
  replace: Replace | undefined;
};

/** A device and its world. */
type Booted = { device: Device; plant: CreditPlant };

export function creditPlace(o: CreditPlantOptions): Place {
  if (o.name !== 'swapped') {
    const { name } = o;
    const plants = new WeakMap<Device, CreditPlant>();
    return new Place({
      name: `credit-${name}`,
      group: 'credit plants',
      boot: () => {
        const { device, plant } = boot(o, name, `credit-${name}`, o.shared, o.now());
        plants.set(device, plant);
        return device;
      },
      describe: (device) => describe(o, device, plants.get(device) as CreditPlant),
    });
  }
  const before = boot(o, 'swapped-out', 'credit-swapped-1', o.shared, o.now());
  // Both meters of the same plant, and of the same day.
  const after = (): Booted => boot(o, 'swapped-in', 'credit-swapped-2', o.shared, before.plant.plan.start);
  let current: Booted | undefined;
  return new SwappedPlace(
    {
      name: 'credit-swapped',
      group: 'credit plants',
      boot: () => {
        current = after();
        return current.device;
      },
      describe: (device) => describe(o, device, (device === before.device ? before : (current as Booted)).plant),
    },
    before.device,
    async (by) => {
      const [final, initial] = [before.plant, (current as Booted).plant].map((plant) => plant.swapRegisterWh);
      await o.replace?.(before.device.did, by, final as number, initial as number);
    },
    o.shared.report,
  );
}

function boot(o: CreditPlantOptions, sort: CreditSort, name: string, shared: Shared, start: number): Booted {
  const { seed: runSeed, seeded, ordinal } = o;
  const kind = o.name === 'storage' ? 'storage' : 'plant';
  const keyType = o.name === 'profile' ? 'P-256' : 'Ed25519';
  let plant: CreditPlant | undefined;
  const device = new Device(
    join(o.state, name),
    { name, kind, keyType, runSeed, seeded, ordinal },
    shared,
    start,
    (identity, saved) => {
      plant = new CreditPlant({ sort, seed: plantSeed(o, identity.seed), weather: runSeed, start }, saved);
      return plant;
    },
  );
  return { device, plant: plant as unknown as CreditPlant };
}

/** A meter that takes over measures the plant of the one before. */
function plantSeed(o: CreditPlantOptions, own: number): number {
  if (o.name !== 'swapped') return own;
  const { seed: runSeed, seeded, ordinal } = o;
  const name = 'credit-swapped-1';
  return openIdentity(join(o.state, name), { name, kind: 'plant', runSeed, seeded, ordinal }).seed;
}

function describe(o: CreditPlantOptions, { did, identity }: Device, { plan }: CreditPlant): Enrolment {
  return {
    did,
    kind: identity.kind,
    custody: 'device',
    sub: identity.sub,
    ...(o.owner ? { owner: o.owner } : {}),
    capacityW: registeredW(plan),
    energySource: o.name === 'storage' ? 'battery' : 'solar',
    ...(o.name === 'rollover' ? { registerModulusWh: ROLLOVER_WH } : {}),
    label: `credit plant ${o.name}: ${SAYS[o.name]} (simulated)`,
  };
}

/** The meter that was there first comes online first; when all that it holds is acknowledged, the new one takes over. */
class SwappedPlace extends Place {
  readonly #before: Device;
  readonly #replace: (by: string) => Promise<void>;
  readonly #report: (line: string) => void;
  #handingOver: Promise<void> | undefined;
  #isSwapped = false;
  #isOnline = false;

  constructor(
    options: PlaceOptions,
    before: Device,
    replace: (by: string) => Promise<void>,
    report: (line: string) => void,
  ) {
    super(options);
    this.#before = before;
    this.#replace = replace;
    this.#report = report;
  }

  override get devices(): readonly Device[] {
    return [this.#before, this.device];
  }

  override goOnline(): void {
    this.#isOnline = true;
    if (this.#isSwapped) super.goOnline();
    else {
      this.#before.goOnline();
      this.#handingOver ??= this.#handOver();
    }
  }

  override goOffline(): void {
    this.#isOnline = false;
    super.goOffline();
  }

  override async stop(): Promise<void> {
    this.#isOnline = false;
    await super.stop();
  }

  async #handOver(): Promise<void> {
    await this.#before.drained();
    try {
      await this.#replace(this.device.did);
    } catch (error) {
      this.#report(`${this.name}: ${(error as Error).message}`);
    }
    this.#isSwapped = true;
    this.#before.goOffline();
    if (this.#isOnline) super.goOnline();
  }
}
