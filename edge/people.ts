/**
 * People and what they do: tokens that can be revoked, and an entry of the log for each action of an operator, in the
 * same transaction as what it changes.
 */
import type { Alarms } from './alarms/alarms.ts';
import type { Watch } from './alarms/watch.ts';
import type { ApiParts } from './api/parts.ts';
import { EdgeError } from './errors.ts';
import type { ForgetOptions, Forgetting } from './forget.ts';
import type { Accept, Own } from './intake/accept.ts';
import { Buckets } from './intake/buckets.ts';
import { declareLost } from './intake/declare.ts';
import type { Enrolment } from './intake/enrolment.ts';
import { type Action, auditRecords, sealAction } from './log/audit.ts';
import { alarmTraces } from './store/alarms.ts';
import { auditTraces, saveAudit } from './store/audit.ts';
import { claimTraces } from './store/claims.ts';
import type { Commit, Devices } from './store/devices.ts';
import type { Store } from './store/store.ts';
import type { IssuedToken, IssuedTokens } from './store/tokens.ts';
import { type Issued, LEEWAY, type Person, type Role, type Tokens } from './tokens.ts';

/** Tokens that have not ended. Each is a row and 300 bytes. */
const MAX_TOKENS = 10_000;
/** How often to look for connections whose tokens have ended. */
const SWEEP_MS = 15_000;

/** Whoever works on the data folder while no gateway runs: nobody asked for a token. */
export const LOCAL: Person = { name: 'local', role: 'operator', id: 'none', expiresMs: 0 };

/** Who acts, on what, and how. */
export type Deed = Pick<Action, 'action' | 'on'> & { by: Person; detail?: Action['detail'] };

export type PeopleOptions = {
  accept: Accept;
  issued: IssuedTokens;
  tokens: Tokens;
  /** Ends what is open in the name of such a person. */
  disconnect: (where: (person: Pick<Person, 'id' | 'expiresMs'>) => boolean) => void;
};

export class People {
  readonly #o: PeopleOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PeopleOptions) {
    this.#o = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      const now = Date.now();
      this.#o.disconnect(({ expiresMs }) => expiresMs + LEEWAY * 1000 < now);
    }, SWEEP_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Does it and says so, both or neither. `work` adds to the transaction and does not throw. */
  async act(deed: Deed, work: (own: Own) => void): Promise<void> {
    await this.#o.accept.act((own) => {
      say(own, deed);
      work(own);
    });
  }

  /** Says what has happened already, in a table that only others write. */
  note(deed: Deed): Promise<void> {
    return this.act(deed, () => undefined);
  }

  /** For changes that others write: theirs goes to disk together with the entry about it. */
  commit(deed: Deed): Commit {
    return (statement) => this.act(deed, (own) => own.also([statement]));
  }

  /** @throws EdgeError TOKENS_FULL, STORE_UNAVAILABLE */
  async makeToken(wanted: { name: string; role: Role }, seconds: number, by: Person): Promise<Issued> {
    const { issued, tokens } = this.#o;
    const live = issued.list(Date.now()).length;
    if (live >= MAX_TOKENS) throw new EdgeError('TOKENS_FULL', `${live} tokens have not ended`);
    const made = await tokens.make(wanted, seconds);
    const { id, name, role, expiresMs } = made;
    const row = { id, name, role, madeMs: Date.now(), expiresMs, madeBy: by.name, revokedMs: null };
    await this.#write(row, { by, action: 'token.make', on: id, detail: { name, role, expiresMs } });
    return made;
  }

  /**
   * From now on it is good for nothing, and what is open in its name ends.
   * @throws EdgeError NOT_FOUND, STORE_UNAVAILABLE
   */
  async revokeToken(id: string, by: Person): Promise<IssuedToken> {
    const { issued, tokens, disconnect } = this.#o;
    // One that was made from the keys of the data folder is in no table, and known by its use alone.
    const held = issued.get(id) ?? tokens.local(id);
    if (!held) throw new EdgeError('NOT_FOUND', `no token ${id} that has not ended`);
    const row = held.revokedMs === null ? { ...held, revokedMs: Date.now() } : held;
    if (row !== held) {
      const { name, role } = held;
      await this.#write(row, { by, action: 'token.revoke', on: id, detail: { name, role } });
    }
    disconnect((person) => person.id === id);
    return row;
  }

  async #write(row: IssuedToken, deed: Deed): Promise<void> {
    const { issued } = this.#o;
    try {
      await this.act(deed, (own) => own.also([issued.save(row)]));
    } catch (error) {
      // It may be on disk all the same, and then it counts.
      if (issued.onDisk(row.id)?.revokedMs !== row.revokedMs) throw error;
    }
    issued.keep(row);
  }
}

/** Adds the entry about a deed to a transaction. */
export function say(own: Own, { by, action, on, detail = {} }: Deed): void {
  const { name, role, id } = by;
  const sealed = sealAction({ atMs: Date.now(), by: { name, role, token: id }, action, on, detail });
  const idx = own.say(auditRecords(sealed));
  own.also([saveAudit({ ...sealed, idx })]);
}

/** What the API needs of alarms. */
export const alarmParts = (alarms: Alarms, watch: Watch, people: People): ApiParts['alarms'] => ({
  rows: alarms.rows,
  open: () => alarms.open,
  isSilent: (device) => watch.isSilent(device),
  clear: (id, by) =>
    alarms.clearBy(id, ({ code, place }) =>
      people.note({ by, action: 'alarm.clear', on: `alarm ${id}`, detail: { code, place } }),
    ),
});

/** What operators do to devices, each with its entry. */
export const deeds = (
  people: People,
  devices: Devices,
  enrolment: Enrolment,
  accept: Accept,
  forgetting: Forgetting,
): Pick<ApiParts, 'enrol' | 'setStatus' | 'declareLost' | 'forget'> => ({
  enrol: (wanted, by) =>
    enrolment.enrol(wanted, (did) => {
      const { kind, custody, sub } = wanted;
      return people.commit({ by, action: 'device.enrol', on: did, detail: { kind, custody, sub } });
    }),
  setStatus: (did, status, replacedBy, by) =>
    devices.setStatus(
      did,
      status,
      Date.now(),
      replacedBy,
      people.commit({ by, action: `device.${status}`, on: did, ...(replacedBy ? { detail: { replacedBy } } : {}) }),
    ),
  declareLost: (device, range, by) =>
    declareLost(accept, device, range, (own) => say(own, { by, action: 'gap.lost', on: device.did, detail: range })),
  // By the tombstone alone: that somebody was forgotten, and not who.
  forget: (subject, by) =>
    forgetting.forget(subject, (own, tombstone) => say(own, { by, action: 'forget', on: `entry ${tombstone}` })),
});

/** What is said of a subject beside the log, for whoever forgets it: audits by their digests stay, and claims go. */
export const tracesOf = (
  store: Store,
  devices: Devices,
  forgetAlarms: (names: readonly string[]) => void,
): ForgetOptions['others'] => {
  const dids = (subject: string): string =>
    JSON.stringify([subject, ...devices.list().flatMap(({ did, sub }) => (sub === subject ? [did] : []))]);
  const alarms = alarmTraces(store);
  const traces = {
    known: alarms.known,
    destroy: (names: string) => {
      forgetAlarms(JSON.parse(names) as string[]); // so that none of them is written again
      return alarms.destroy(names);
    },
  };
  return [auditTraces(store), claimTraces(store), traces].map(({ known, destroy }) => ({
    known: (subject) => known(dids(subject)),
    destroy: (subject) => destroy(dids(subject)),
  }));
};

/** Failed logins by address. */
export function failedLogins(perMinute: number): ApiParts['failures'] & { limit: (perMinute: number) => void } {
  const buckets = new Buckets(perMinute / 60, perMinute);
  return {
    tooMany: (address) => buckets.isEmpty(address),
    one: (address) => void buckets.tryTake(address),
    limit: (next) => buckets.setRate(next / 60, next),
  };
}
