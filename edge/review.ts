/** What an operator decides about a refused envelope: that it is offered again, or that it goes. */
import { EdgeError } from './errors.ts';
import type { Accept } from './intake/accept.ts';
import type { Custodian } from './intake/custody.ts';
import { type Deed, say } from './people.ts';
import { dropRefused, type Quarantine, type QuarantineRow } from './store/quarantine.ts';
import type { Person } from './tokens.ts';

export type ReviewOptions = { accept: Accept; custodian: Custodian; quarantine: Quarantine };

export class Review {
  readonly #o: ReviewOptions;
  /** On their way out. */
  readonly #going = new Set<number>();

  constructor(options: ReviewOptions) {
    this.#o = options;
  }

  /**
   * Offers it again, as if it came now: a device may have been enrolled or resumed since. Where it is refused again it
   * stays, with the reason that it has now.
   * @param reason why, in the words of who decides
   * @returns its index in the log
   * @throws EdgeError NOT_FOUND, STORE_UNAVAILABLE, or the reason
   */
  async release(id: number, by: Person, reason?: string): Promise<number> {
    const row = this.#row(id);
    const { did, topic, bytes } = row;
    const { accept, custodian } = this.#o;
    const outcome = topic.endsWith('/senml')
      ? await custodian.offerSenml(did, topic, bytes, true)
      : topic.endsWith('/cose')
        ? await custodian.offerEnvelope(did, topic, bytes)
        : await accept.offer(bytes, { did, topic });
    if (outcome.kind === 'quarantined') throw new EdgeError(outcome.code, outcome.detail);
    const { index } = outcome;
    const detail = { id, code: row.code, index, ...said(reason) };
    await this.#remove(row, { by, action: 'quarantine.release', on: did, detail });
    return index;
  }

  /** @throws EdgeError NOT_FOUND, STORE_UNAVAILABLE */
  async drop(id: number, by: Person, reason?: string): Promise<void> {
    const row = this.#row(id);
    const detail = { id, code: row.code, ...said(reason) };
    await this.#remove(row, { by, action: 'quarantine.drop', on: row.did, detail });
  }

  async #remove({ id, did }: QuarantineRow, deed: Deed): Promise<void> {
    const { accept, quarantine } = this.#o;
    // Two that ask at once go to disk in one transaction, where both would find the row still there.
    if (this.#going.has(id)) throw gone(id);
    this.#going.add(id);
    try {
      await accept.act((own) => {
        this.#row(id); // another operator may have been faster
        say(own, deed);
        own.also([dropRefused(id)]);
      });
    } catch (error) {
      // What failed may be on disk all the same, and then it counts.
      const isUnsure = error instanceof EdgeError && error.code === 'STORE_UNAVAILABLE';
      if (!isUnsure || quarantine.get(id)) throw error;
    } finally {
      this.#going.delete(id);
    }
    quarantine.added(did, -1);
  }

  #row(id: number): QuarantineRow {
    const row = this.#o.quarantine.get(id);
    if (!row) throw gone(id);
    return row;
  }
}

const said = (reason: string | undefined) => (reason === undefined ? {} : { reason });
const gone = (id: number): EdgeError => new EdgeError('NOT_FOUND', `no envelope ${id} in quarantine`);
