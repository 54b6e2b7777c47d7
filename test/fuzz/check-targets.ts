/** Vehicle checks: presentations, challenges, city bundles and status lists from outside. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { EdgeError } from '../../edge/errors.ts';
import { decodeChallenge, decodePresentation, encodeMessage, verifyChallenge } from '../../edge/wire/vc/check.ts';
import { openCityBundle } from '../../edge/wire/vc/city-bundle.ts';
import { verifyCredential } from '../../edge/wire/vc/credential.ts';
import { addProof, type Proof, type Signer, verifyProof } from '../../edge/wire/vc/proof.ts';
import { decodeStatusList, MAX_LIST_BYTES, MIN_LIST_BYTES } from '../../edge/wire/vc/status-list.ts';
import { ORIGIN } from '../support/city.ts';
import { BUNDLES, CHALLENGES, CITY, HELLO, NOW, PRESENTATIONS, VEHICLES } from './city.ts';
import type { Target } from './fuzz.ts';
import { type Below, mutate } from './mutate.ts';

type Document = Record<string, unknown> & { proof?: Proof };

/** One text for one value, by no other code than this. */
function sorted(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sorted).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${sorted(member)}`).join()}}`;
}
const texts = (documents: readonly unknown[]): Set<string> => new Set(documents.map(sorted));

/**
 * What its signer signed, and nothing else, is taken: the corpus, and the mutants that were signed again. Those are
 * nonsense by somebody who holds the key: what others signed in it must still be theirs.
 */
const signed = {
  presentation: texts(PRESENTATIONS),
  challenge: texts(CHALLENGES),
  bundle: texts(BUNDLES),
};
const issued = texts(PRESENTATIONS.flatMap((p) => p.verifiableCredential));
const vouched = texts([...CHALLENGES.map((c) => c.credential), ...BUNDLES.flatMap((b) => b.gateways)]);
const listed = texts(BUNDLES.flatMap((b) => b.statusLists));

/** Members of the document changed, and the whole signed again. Where it is no JSON any more, as it is. */
function signAgain(
  [original, other]: [Uint8Array, Uint8Array],
  below: Below,
  { of, by, into }: { of: (message: Document) => Document; by: (document: Document) => Signer; into: Set<string> },
): Uint8Array {
  const unsigned = (bytes: Uint8Array): [Document, Proof] | undefined => {
    try {
      const { proof, ...document } = of(JSON.parse(Buffer.from(bytes).toString('utf8')) as Document);
      return proof && [document, proof];
    } catch {
      return undefined;
    }
  };
  const mine = unsigned(original);
  const theirs = unsigned(other);
  if (!mine || !theirs) return mutate(original, other, below);
  const [document, { proofPurpose, created, challenge, domain }] = mine;
  const changed = mutate(encodeMessage(document), encodeMessage(theirs[0]), below);
  try {
    const again = addProof(JSON.parse(changed.toString('utf8')) as Document, by(document), {
      purpose: proofPurpose,
      created,
      ...(challenge !== undefined && { challenge }),
      ...(domain !== undefined && { domain }),
    });
    into.add(sorted(again));
    return encodeMessage(again);
  } catch {
    return changed;
  }
}

const presentation: Target = {
  name: 'presentation',
  judge: (bytes) => {
    const { presentation: p } = decodePresentation(bytes);
    verifyProof(p, { did: p.holder, purpose: 'authentication' });
    const [credential] = p.verifiableCredential;
    if (credential.issuer !== CITY.issuer.did) throw new EdgeError('PROOF_INVALID', 'not by the pinned issuer');
    verifyCredential(credential);
    if (!issued.has(sorted(credential))) return 'a credential that nobody issued';
    return signed.presentation.has(sorted(p)) ? undefined : 'a presentation that nobody signed';
  },
  change: (original, other, below) => {
    const bytes = signAgain([original, other], below, {
      of: (message) => message.presentation as Document,
      by: (document) => VEHICLES.find(({ did }) => did === document.holder) ?? (VEHICLES[0] as Signer),
      into: signed.presentation,
    });
    return Buffer.concat([Buffer.from('{"presentation":'), bytes, Buffer.from('}')]);
  },
};

const challenge: Target = {
  name: 'challenge',
  judge: (bytes) => {
    const c = decodeChallenge(bytes);
    verifyChallenge(c, { cityDid: CITY.key.did, origin: ORIGIN, hello: HELLO, now: NOW });
    if (!vouched.has(sorted(c.credential))) return 'a gateway that nobody vouches for';
    if (c.gate !== HELLO.gate || c.purpose !== HELLO.purpose) return 'it answers another hello';
    if (!(Date.parse(c.created) <= NOW + 5000 && Date.parse(c.expires) > NOW)) return 'it is not of now';
    return signed.challenge.has(sorted(c)) ? undefined : 'a challenge that nobody signed';
  },
  change: (original, other, below) =>
    signAgain([original, other], below, { of: (m) => m, by: () => CITY.gateway, into: signed.challenge }),
};

const cityBundle: Target = {
  name: 'city-bundle',
  judge: (bytes) => {
    const { bundle, statusLists } = openCityBundle(bytes, { cityDid: CITY.key.did });
    if (!bundle.gateways.every((gateway) => vouched.has(sorted(gateway)))) return 'a gateway that nobody vouches for';
    if (!bundle.statusLists.every((list) => listed.has(sorted(list)))) return 'a list that nobody published';
    if (![...statusLists.values()].every(({ list }) => list.length === MIN_LIST_BYTES)) return 'a list of another size';
    return signed.bundle.has(sorted(bundle)) ? undefined : 'a bundle that nobody signed';
  },
  change: (original, other, below) =>
    signAgain([original, other], below, { of: (m) => m, by: () => CITY.key, into: signed.bundle }),
};

const MIB = gzipSync(new Uint8Array(MAX_LIST_BYTES));
const base64url = (gzipped: Uint8Array): Buffer => Buffer.from(`u${Buffer.from(gzipped).toString('base64url')}`);

const statusList: Target = {
  name: 'status-list',
  judge: (bytes) => {
    const text = Buffer.from(bytes).toString('latin1');
    const list = decodeStatusList(text);
    const gzipped = Buffer.from(text.slice(1), 'base64url');
    if (text !== `u${gzipped.toString('base64url')}`) return 'another spelling of base64url';
    if (list.length < MIN_LIST_BYTES || list.length > MAX_LIST_BYTES) return `a list of ${list.length} bytes`;
    return gunzipSync(gzipped).equals(list) ? undefined : 'another content than zlib makes of it';
  },
  // The gzip changed, not its base64; or a bomb of up to a gibibyte, alone or behind the list.
  change: (original, other, below) => {
    const gzipped = Buffer.from(Buffer.from(original).toString('latin1').slice(1), 'base64url');
    if (below(12) > 0) return base64url(mutate(gzipped, other, below));
    const members = Array.from({ length: 1 + below(1000) }, () => MIB);
    return base64url(Buffer.concat(below(2) === 0 ? members : [gzipped, ...members]));
  },
};

export const CHECK_TARGETS: readonly Target[] = [presentation, challenge, cityBundle, statusList];
