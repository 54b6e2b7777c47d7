/**
 * A metering point goes on with another device: a meter that was swapped, or the same one with a new key. The change of
 * both and the entry about it go to disk together.
 */
import { EdgeError } from '../errors.ts';
import { type Succession, successionRecords } from '../log/succession.ts';
import type { Device, Devices, NewDevice } from '../store/devices.ts';
import type { SqlStatement } from '../store/store.ts';
import { saveSuccession } from '../store/successions.ts';
import { publicKeyFromDid } from '../wire/did.ts';
import { rekeyFlaw } from '../wire/rekey.ts';
import type { Own } from './plan.ts';

/** A billed register, as whoever swapped the meters read it. */
export type Register = { obis: string; wh: number };

/** Null: nobody could read it. Kinds that bill a register need both said, others neither. */
export type Swap = { by: string; finalRegister?: Register | null; initialRegister?: Register | null };

/** `did` and `proof` (a signature by the old key, wire/rekey.ts) of a device that holds its key; else neither. */
export type Rekey = { did?: string; proof?: Uint8Array };

/** {@link Accept.act}, or something that adds to it. */
export type Act = (work: (own: Own) => void) => Promise<void>;

export type SuccessorsOptions = {
  devices: Devices;
  /** Makes and keeps a key; its DID, a secret for its login, and what is kept of that. */
  makeKey: () => { did: string; secret: string; secretHash: Uint8Array };
  /** The register that a kind bills. */
  billedOf: (kind: string) => string | undefined;
};

export class Successors {
  readonly #o: SuccessorsOptions;

  constructor(options: SuccessorsOptions) {
    this.#o = options;
  }

  /** @throws EdgeError DEVICE_UNKNOWN, STATE_CONFLICT, REQUEST_INVALID, STORE_UNAVAILABLE */
  async replace(did: string, swap: Swap, act: Act): Promise<Device> {
    const [old, heir] = [this.#known(did), this.#known(swap.by)];
    // The metering point must be carried on by the device that takes over.
    if (heir === old) throw new EdgeError('STATE_CONFLICT', `${heir.did} cannot replace itself`);
    if (heir.sub !== old.sub) throw new EdgeError('STATE_CONFLICT', `${heir.did} is enrolled for another sub`);
    if (heir.status !== 'active') throw new EdgeError('STATE_CONFLICT', `${heir.did} is ${heir.status}`);
    const registers = registersOf(old.kind, this.#o.billedOf(old.kind), swap);
    const said = { did, by: heir.did, how: 'swap', registers } as const;
    return this.#o.devices.setStatus(did, 'replaced', Date.now(), heir.did, (statement) =>
      this.#say(old.id, said, [statement], act),
    );
  }

  /**
   * The secret, for custody gateway, is there this once.
   * @returns the device under its new key
   * @throws EdgeError DEVICE_UNKNOWN, DEVICE_EXISTS, DID_INVALID, STATE_CONFLICT, REKEY_UNPROVEN, REQUEST_INVALID,
   * STORE_UNAVAILABLE
   */
  async rekey(did: string, { did: next, proof }: Rekey, act: Act): Promise<{ device: Device; secret?: string }> {
    const old = this.#known(did);
    const { kind, custody, sub, owner, capacityW, energySource, registerModulusWh, label } = old;
    const same = { kind, custody, sub, owner, capacityW, energySource, registerModulusWh, label };
    const take = async (heir: NewDevice): Promise<Device> => {
      let taken: Device | undefined;
      const said = { did, by: heir.did, how: 'rekey', proof } as const;
      // Each write hands on to the next, and the last one takes both to disk.
      await this.#o.devices.setStatus(did, 'replaced', Date.now(), heir.did, async (replaced) => {
        taken = await this.#o.devices.enrol(heir, Date.now(), (enrolled) =>
          this.#say(old.id, said, [replaced, enrolled], act),
        );
      });
      return taken as unknown as Device;
    };
    if (custody === 'gateway') {
      if (next !== undefined || proof !== undefined)
        throw new EdgeError('REQUEST_INVALID', 'with custody gateway the gateway makes the key: no did, no proof');
      const { secret, ...made } = this.#o.makeKey();
      return { device: await take({ ...same, ...made }), secret };
    }
    if (next === undefined || proof === undefined)
      throw new EdgeError(
        'REQUEST_INVALID',
        'custody device needs the did of the new key, and the proof by the old one',
      );
    publicKeyFromDid(next);
    const flaw = rekeyFlaw(did, next, proof);
    if (flaw) throw new EdgeError('REKEY_UNPROVEN', `${did} to ${next}: ${flaw}`);
    return { device: await take({ ...same, did: next }) };
  }

  #known(did: string): Device {
    const device = this.#o.devices.get(did);
    if (!device) throw new EdgeError('DEVICE_UNKNOWN', did);
    return device;
  }

  #say(device: number, said: Succession, statements: readonly SqlStatement[], act: Act): Promise<void> {
    return act((own) => {
      const idx = own.say(successionRecords(said));
      own.also([...statements, saveSuccession(idx, device, said.by)]);
    });
  }
}

function registersOf(
  kind: string,
  obis: string | undefined,
  { finalRegister, initialRegister }: Swap,
): Succession['registers'] {
  if (obis === undefined) {
    if (finalRegister ?? initialRegister) throw new EdgeError('REQUEST_INVALID', `a ${kind} has no billed register`);
    return undefined;
  }
  if (finalRegister === undefined || initialRegister === undefined)
    throw new EdgeError(
      'REQUEST_INVALID',
      `a ${kind} bills ${obis}: finalRegister and initialRegister are needed, or null where one cannot be read`,
    );
  for (const register of [finalRegister, initialRegister])
    if (register && register.obis !== obis)
      throw new EdgeError('REQUEST_INVALID', `a ${kind} bills ${obis}, not ${register.obis}`);
  return { obis, finalWh: finalRegister?.wh ?? null, initialWh: initialRegister?.wh ?? null };
}
