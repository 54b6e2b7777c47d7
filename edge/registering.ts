/**
 * The city's registry, put together: the table is here from the start, the follower comes with the chain, the salts come
 * from the city's registry file, and on the embedded chain the gateway's own operator is the registrar.
 */
import { join } from 'node:path';
import type { RegistryView } from './api/views.ts';
import type { Caps } from './caps.ts';
import { commitment } from './chain/commitment.ts';
import type { DevicesFollower, RegistryState } from './chain/devices.ts';
import type { ChainPlace } from './chain/place.ts';
import type { Registrar } from './chain/registrar.ts';
import type { Config } from './config.ts';
import { errorLine } from './errors.ts';
import type { Identity } from './identity.ts';
import { GATEWAY_KIND } from './profiles/profile.ts';
import { Salts } from './salts.ts';
import type { Device, Devices } from './store/devices.ts';
import { type Registration, Registrations } from './store/registrations.ts';
import type { SqlStatement, Store } from './store/store.ts';

type Known = { device: string; meteringPoint: string };

export type RegisteringParts = {
  config: Config;
  identity: Identity;
  store: Store;
  devices: Devices;
  caps: Caps;
  isSealed: (kind: string) => boolean;
  report: (line: string) => void;
};

export class Registering {
  readonly #p: RegisteringParts;
  readonly #table: Registrations;
  readonly #salts: Salts;
  /** Whether there is a registry at all. */
  readonly isOn: boolean;
  #follower: DevicesFollower | undefined;
  #registrar: Registrar | undefined;
  #starting: Promise<void> | undefined;
  #stopped = false;
  /** What the table holds of each device that was asked for since it changed. */
  #cache = new WeakMap<Device, { held: Registration | undefined }>();

  constructor(parts: RegisteringParts) {
    const { config, store, devices } = parts;
    const { mode, devices: contract, devicesFile } = config.chain;
    this.#p = parts;
    this.isOn = mode === 'embedded' || (mode === 'rpc' && contract !== '');
    this.#table = new Registrations(store);
    this.#table.onChanged = () => this.#forget();
    this.#salts = new Salts(devicesFile || join(config.dataFolder, 'registry-salts.jsonl'));
    if (!this.isOn) return;
    this.#salts.refresh();
    const changed = devices.onChanged;
    devices.onChanged = (device) => {
      changed(device);
      this.#follower?.wake();
    };
  }

  /** What the registry holds of a device, as far as it was followed. */
  registered = (device: Device): Registration | undefined => {
    if (!this.isOn) return undefined;
    let found = this.#cache.get(device);
    if (!found) {
      found = { held: this.#read(device) };
      this.#cache.set(device, found);
    }
    return found.held;
  };

  /** Undefined where there is no registry. */
  view = (device: Device): RegistryView | undefined => {
    if (!this.isOn || device.kind === GATEWAY_KIND) return undefined;
    const held = this.registered(device);
    const { ageSeconds, block } = this.state as RegistryState;
    const { validFrom = null, validUntil = null } = held ?? {};
    return { status: held?.status ?? 'unregistered', validFrom, validUntil, ageSeconds, block };
  };

  /** Where this gateway is the registrar, from the moment that the chain was found. */
  get registrar(): Registrar | undefined {
    return this.#registrar;
  }

  get state(): RegistryState | undefined {
    if (!this.isOn) return undefined;
    const meta = this.#table.meta;
    const syncedMs = this.#follower?.syncedMs || meta?.syncedMs;
    // The wall clock may have been set back since.
    const ageSeconds = syncedMs === undefined ? null : Math.max(0, Math.floor((Date.now() - syncedMs) / 1000));
    const before = {
      contract: meta?.contract ?? '',
      chainId: meta?.chainId ?? 0,
      reachable: false,
      block: this.#table.blocks()[0]?.number ?? null,
      ...this.#table.counts(),
      rewinds: 0,
      problem: undefined,
    };
    return { ...(this.#follower?.state ?? before), ageSeconds };
  }

  /**
   * @param withinMs how long it may wait for the first word of the chain
   * @throws EdgeError CHAIN_WRONG, CONFIG_INVALID, CHAIN_PROGRAM
   */
  start(place: ChainPlace, withinMs: number): Promise<void> {
    this.#starting = this.isOn ? this.#start(place, withinMs) : Promise.resolve();
    this.#starting.catch(() => undefined); // whoever started it hears of it
    return this.#starting;
  }

  async #start(place: ChainPlace, withinMs: number): Promise<void> {
    // Loaded only where there is a chain: viem takes 18 MB.
    const { DevicesFollower } = await import('./chain/devices.ts');
    const { Registrar } = await import('./chain/registrar.ts');
    const { config, identity, devices, caps, report } = this.#p;
    const c = config.chain;
    const { rpc, chainId } = await place.find();
    const registrar =
      c.mode === 'embedded'
        ? new Registrar({
            secretKey: identity.registrarKey(),
            creditsKey: config.credits.enabled ? identity.creditsKey() : undefined,
            chainId,
            devices: () => devices.list().filter(({ kind }) => kind !== GATEWAY_KIND),
            registered: this.registered,
            identify: async (these) => this.#identify(these),
            byDid: (did) => devices.get(did),
          })
        : undefined;
    this.#registrar = registrar;
    if (this.#stopped) return;
    this.#follower = new DevicesFollower(this.#table, {
      rpc,
      chainId,
      contract: registrar?.contract ?? (c.devices as `0x${string}`),
      fromBlock: c.devicesFromBlock,
      pollSeconds: c.pollSeconds,
      maxEvents: c.maxRegistryEvents,
      onTooMany: () => caps.hit('chain.maxRegistryEvents'),
      registrar,
      onLook: () => this.#refreshSalts(),
      report,
    });
    await this.#follower.start(withinMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#starting?.catch(() => undefined);
    await this.#follower?.stop();
  }

  /**
   * What forgetting a subject takes: its salts, after which nobody finds it on the chain. Of a city's own file the city
   * takes them: a salt that went here alone would make a device that the city revoked an unknown one.
   */
  readonly forgettable = {
    known: (subject: string): number => this.#ownSalted(subject).length,
    destroy: (subject: string): SqlStatement[] => {
      for (const { did } of this.#ownSalted(subject)) this.#salts.forget(did);
      this.#forget();
      return [];
    },
  };

  #ownSalted(subject: string): Device[] {
    if (this.#p.config.chain.mode !== 'embedded') return [];
    const isOf = ({ did, sub }: Device): boolean => did === subject || sub === subject;
    return this.#p.devices.list().filter((d) => isOf(d) && this.#salts.of(d.did) !== undefined);
  }

  #forget(): void {
    this.#cache = new WeakMap();
  }

  /** A file that cannot be read leaves the salts as they were: readings go on. */
  #refreshSalts(): void {
    try {
      if (this.#salts.refresh()) this.#forget();
    } catch (error) {
      this.#p.report(`registry: ${errorLine(error)}`);
    }
  }

  #read(device: Device): Registration | undefined {
    const known = this.#known(device);
    const held = known && this.#table.of(known.device);
    return held && held.meteringPoint !== known.meteringPoint ? { ...held, elsewhere: true } : held;
  }

  /** How the registry knows a device: sealed kinds by their salt only. */
  #known({ did, sub, kind }: Device): Known | undefined {
    const salt = this.#salts.of(did);
    if (kind === GATEWAY_KIND || (!salt && this.#p.isSealed(kind))) return undefined;
    return { device: commitment(did, salt), meteringPoint: commitment(sub, salt) };
  }

  /** All devices of one metering point share its salt. */
  #identify(these: readonly Device[]): Known[] {
    const made = new Map<string, Uint8Array>();
    const ofPoint = new Map<string, Uint8Array>();
    for (const { did, sub } of this.#p.devices.list()) {
      const salt = this.#salts.of(did);
      if (salt) ofPoint.set(sub, salt);
    }
    for (const { did, sub, kind } of these) {
      if (!this.#p.isSealed(kind) || this.#salts.of(did)) continue;
      const salt = ofPoint.get(sub) ?? Salts.make();
      ofPoint.set(sub, salt);
      made.set(did, salt);
    }
    if (made.size > 0) this.#salts.add(made);
    this.#forget();
    return these.map((device) => this.#known(device) as Known);
  }
}
