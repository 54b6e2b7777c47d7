/**
 * One session with a meter: link, association, attributes read one by one, in a list, or in blocks; plain or ciphered.
 * A session lasts one poll: a meter forgets an idle one, and a fresh one shows each time that the keys are right.
 */
import type { Exchange } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import {
  type Agreed,
  checkAccepted,
  decodeAare,
  decodeInitiateResponse,
  encodeAarq,
  exceptionOf,
  INITIATE_REQUEST,
} from './association.ts';
import { type Data, decodeData, encodeLength, Reader } from './axdr.ts';
import {
  type Attribute,
  actionProof,
  decodeGetResponse,
  decodeList,
  decodeProof,
  getNext,
  getNormal,
  getWithList,
  type Result,
} from './get.ts';
import { sameBytes } from './hdlc.ts';
import type { HdlcLink } from './link.ts';
import { type Counters, challengeOf, gmac, type Keys, open, protect, proves } from './security.ts';
import { accessResult, obisText } from './words.ts';

/** One answer in blocks: bytes in all, and blocks. */
const MAX_LONG = 4 * 1024 * 1024;
const MAX_BLOCKS = 20_000;
/** Attributes in one request. */
const MAX_LIST = 10;

/** Tags of what is ciphered with the global key, beside those of the plain. */
const GLOBAL = {
  initiateRequest: 0x21,
  initiateResponse: 0x28,
  getRequest: 0xc8,
  getResponse: 0xcc,
  actionRequest: 0xcb,
  actionResponse: 0xcf,
};
const GENERAL_GLO = 0xdb;

export type Security = {
  keys: Keys;
  /** Ours, 8 bytes. */
  systemTitle: Uint8Array;
  counters: Counters;
  /** @param above what the meter says that it has seen */
  nextCounter(above?: number): number;
  /** High security with GMAC (mechanism 5). */
  high: boolean;
};

export class Session {
  readonly #link: HdlcLink;
  readonly #password: Uint8Array | undefined;
  readonly #security: Security | undefined;
  #meterTitle: Uint8Array | undefined;
  #agreed: Agreed = { withList: false, selective: false, blocks: false };
  /** What the meter says that it has seen of our counter. */
  counterSeen: number | undefined;

  constructor(link: HdlcLink, password: Uint8Array | undefined, security: Security | undefined, seen?: number) {
    this.#link = link;
    this.#password = password;
    this.#security = security;
    this.counterSeen = seen;
  }

  get selective(): boolean {
    return this.#agreed.selective;
  }

  /** @param silentTries as {@link HdlcLink.connect} has it */
  *open(silentTries: number): Generator<Exchange, void, unknown> {
    yield* this.#link.connect(silentTries);
    const initiate = this.#protect(INITIATE_REQUEST, GLOBAL.initiateRequest);
    const systemTitle = this.#security?.systemTitle;
    const challenge = this.#security?.high ? this.#challenge(this.#security) : undefined;
    const aarq = encodeAarq({ initiate, systemTitle, password: this.#password, challenge });
    const answer = yield* this.#link.transact(aarq, 'AARQ');
    this.#throwException(answer);
    const aare = decodeAare(answer);
    checkAccepted(aare, challenge !== undefined);
    this.#meterTitle = aare.systemTitle;
    this.#agreed = decodeInitiateResponse(this.#opened(aare.initiate, [GLOBAL.initiateResponse]));
    if (this.#security && challenge) yield* this.#prove(this.#security, challenge, aare.challenge);
  }

  #challenge({ keys, systemTitle, nextCounter }: Security): Uint8Array {
    return challengeOf(keys, systemTitle, nextCounter(this.counterSeen));
  }

  /** Passes 3 and 4 of high security (Green Book clause 9.2.7.4): we prove the keys to the meter, and it to us. */
  *#prove(
    security: Security,
    challenge: Uint8Array,
    theirs: Uint8Array | undefined,
  ): Generator<Exchange, void, unknown> {
    if (theirs === undefined || theirs.length < 8 || theirs.length > 64)
      throw new SerialFault('mismatch', 'the meter’s challenge is not of 8 to 64 bytes');
    // Our own challenge sent back would let it have the proof from us.
    if (sameBytes(theirs, challenge)) throw new SerialFault('mismatch', 'the meter sends our own challenge back');
    const { keys, systemTitle, nextCounter } = security;
    const proof = actionProof(gmac(keys, systemTitle, nextCounter(this.counterSeen), theirs));
    const answer = yield* this.#link.transact(this.#protect(proof, GLOBAL.actionRequest), 'the proof of high security');
    this.#throwException(answer);
    const own = decodeProof(this.#opened(answer, [GLOBAL.actionResponse, GENERAL_GLO]));
    if (own === undefined) throw new SerialFault('exception', 'the meter does not take our proof: it has other keys');
    if (!proves(keys, this.#meterTitle as Uint8Array, challenge, own))
      throw new SerialFault('mismatch', 'the meter does not prove that it has the keys');
  }

  *close(): Generator<Exchange, void, unknown> {
    // The association ends with its link (Green Book clause 9.4.4).
    yield* this.#link.disconnect();
  }

  /** @throws SerialFault exception where the meter refuses it */
  *get(attribute: Attribute): Generator<Exchange, Data, unknown> {
    const [result] = yield* this.getAll([attribute]);
    if (result === undefined || 'refused' in result) throw refusal(attribute, result?.refused ?? 250);
    return result.data;
  }

  /** All, in their order; in one request where the meter can. */
  *getAll(attributes: readonly Attribute[]): Generator<Exchange, Result[], unknown> {
    const results: Result[] = [];
    const size = this.#agreed.withList ? MAX_LIST : 1;
    for (let at = 0; at < attributes.length; at += size) {
      const some = attributes.slice(at, at + size);
      const got = some.length === 1 ? [yield* this.#one(some[0] as Attribute)] : yield* this.#list(some);
      if (got.length !== some.length)
        throw new SerialFault('mismatch', `the meter answers ${some.length} questions with ${got.length} answers`);
      results.push(...got);
    }
    return results;
  }

  *#one(attribute: Attribute): Generator<Exchange, Result, unknown> {
    const says = `GET ${obisText(attribute.obis)} attribute ${attribute.attribute}`;
    const response = decodeGetResponse(yield* this.#request(getNormal(attribute), says));
    if (response.kind === 'normal') return response.result;
    if (response.kind === 'refused') return { refused: response.refused };
    if (response.kind === 'block') return { data: decodeData(yield* this.#blocks(response, says)) };
    throw new SerialFault('mismatch', 'the meter answers one question with a list');
  }

  *#list(attributes: readonly Attribute[]): Generator<Exchange, Result[], unknown> {
    const says = `GET of ${attributes.length}`;
    const response = decodeGetResponse(yield* this.#request(getWithList(attributes), says));
    if (response.kind === 'list') return response.results;
    if (response.kind === 'block') {
      const reader = new Reader(yield* this.#blocks(response, says));
      return decodeList(reader);
    }
    const refused =
      response.kind === 'refused' ? response.refused : 'refused' in response.result ? response.result.refused : 0;
    throw new SerialFault('exception', `the meter refuses a list of values: ${accessResult(refused)}`);
  }

  /** Block after block, each with the number that is due. */
  *#blocks(
    first: { last: boolean; block: number; bytes: Uint8Array },
    says: string,
  ): Generator<Exchange, Uint8Array, unknown> {
    const parts: Uint8Array[] = [];
    let total = 0;
    for (let expected = 1, current = first; ; expected++) {
      if (current.block !== expected)
        throw new SerialFault('mismatch', `the meter sends block ${current.block} where ${expected} is due`);
      parts.push(current.bytes);
      total += current.bytes.length;
      if (total > MAX_LONG || expected > MAX_BLOCKS)
        throw new SerialFault(
          'mismatch',
          `the meter’s answer is longer than ${MAX_LONG} bytes or ${MAX_BLOCKS} blocks`,
        );
      if (current.last) return Uint8Array.from(Buffer.concat(parts));
      const next = decodeGetResponse(yield* this.#request(getNext(expected), `${says}: block ${expected + 1}`));
      if (next.kind === 'refused')
        throw new SerialFault('exception', `the meter breaks off: ${accessResult(next.refused)}`);
      if (next.kind !== 'block') throw new SerialFault('mismatch', 'the meter’s answer goes on without a block');
      current = next;
    }
  }

  *#request(plain: Uint8Array, says: string): Generator<Exchange, Uint8Array, unknown> {
    const answer = yield* this.#link.transact(this.#protect(plain, GLOBAL.getRequest), says);
    this.#throwException(answer);
    return this.#opened(answer, [GLOBAL.getResponse, GENERAL_GLO]);
  }

  #protect(plain: Uint8Array, tag: number): Uint8Array {
    const { keys, systemTitle, nextCounter } = this.#security ?? {};
    if (!keys || !systemTitle || !nextCounter) return plain;
    const text = protect(keys, systemTitle, nextCounter(this.counterSeen), plain);
    return Uint8Array.of(tag, ...encodeLength(text.length), ...text);
  }

  /** @throws SerialFault mismatch where it is plain and should not be */
  #opened(bytes: Uint8Array, tags: number[]): Uint8Array {
    if (this.#security === undefined) return bytes;
    const reader = new Reader(bytes);
    const tag = reader.byte();
    if (!tags.includes(tag)) throw new SerialFault('mismatch', 'the meter answers in plain what was asked enciphered');
    const named = tag === GENERAL_GLO ? reader.take(reader.length()) : undefined;
    const title = this.#meterTitle ?? named;
    if (title?.length !== 8) throw new SerialFault('mismatch', 'the meter does not tell its system title');
    const { plain, counter } = open(this.#security.keys, title, reader.take(reader.length()));
    this.#security.counters.check(title, counter);
    return plain;
  }

  #throwException(answer: Uint8Array): void {
    const exception = exceptionOf(answer);
    if (exception === undefined) return;
    if (exception.counter !== undefined) this.counterSeen = exception.counter;
    throw exception.fault;
  }
}

export const refusal = ({ obis, attribute }: Attribute, code: number): SerialFault =>
  new SerialFault('exception', `the meter refuses ${obisText(obis)} attribute ${attribute}: ${accessResult(code)}`);
