import { existsSync, readFileSync } from 'node:fs';
import { base58 } from '@scure/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeDid } from '../../../edge/wire/did.ts';
import { type KeyType, type PublicKey, VERIFIERS } from '../../../edge/wire/keys.ts';
import { canonicalJson } from '../../../edge/wire/vc/jcs.ts';
import { addProof, hashData, type Secured, verifyProof } from '../../../edge/wire/vc/proof.ts';
import { makeSigner } from '../../../firmware-sim/signer.ts';
import { signerOf } from '../../support/city.ts';

const VECTORS = new URL('../../../../shared/vectors/eddsa-jcs-2022/', import.meta.url);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const code = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return 'taken';
};
const KEY_TYPES: KeyType[] = ['Ed25519', 'P-256'];

if (!existsSync(VECTORS))
  describe('the W3C vectors of eddsa-jcs-2022', () => {
    it.skip('SKIPPED, ../shared/vectors/eddsa-jcs-2022 is not here', () => {});
  });
else
  describe('the W3C vectors of eddsa-jcs-2022, byte for byte', () => {
    const file = (name: string) => readFileSync(new URL(name, VECTORS), 'utf8').trim();
    const unsigned = JSON.parse(file('unsigned.json')) as object;
    const config = JSON.parse(file('proofConfigJCS.json')) as object;
    const signed = JSON.parse(file('signedJCS.json')) as Secured<{ issuer: string }>;
    const { publicKeyMultibase, privateKeyMultibase } = JSON.parse(file('keyPair.json'));
    const did = `did:key:${publicKeyMultibase}`;
    // Multicodec ed25519-priv, 0x1300, then the seed.
    const secretKey = base58.decode(privateKeyMultibase.slice(1)).subarray(2);
    const signer = { did, sign: makeSigner({ keyType: 'Ed25519', secretKey }) };

    it('canonical document and proof options', () => {
      expect(text(canonicalJson(unsigned))).toBe(file('canonDocJCS.txt'));
      expect(text(canonicalJson(config))).toBe(file('proofCanonJCS.txt'));
    });
    it('what is signed: both hashes', () => {
      expect(hex(hashData(unsigned, config))).toBe(file('combinedHashJCS.txt'));
      expect(file('combinedHashJCS.txt')).toBe(file('proofHashJCS.txt') + file('docHashJCS.txt'));
    });
    it('the signature and the whole secured document', () => {
      const made = addProof(unsigned, signer, { purpose: 'assertionMethod', created: '2023-02-24T23:36:38Z' });
      expect(made.proof.proofValue).toBe(file('sigBTC58JCS.txt'));
      expect(hex(base58.decode(made.proof.proofValue.slice(1)))).toBe(file('sigHexJCS.txt'));
      expect(made).toEqual(signed);
    });
    it('verifies, and not for anybody or anything else', () => {
      verifyProof(signed, { did, purpose: 'assertionMethod' });
      expect(code(() => verifyProof(signed, { did, purpose: 'authentication' }))).toBe('PROOF_INVALID');
      expect(code(() => verifyProof(signed, { did: signerOf('x').did, purpose: 'assertionMethod' }))).toBe(
        'PROOF_INVALID',
      );
    });

    it('ecdsa-jcs-2019 over the same document: what W3C signed (w3c/vc-di-ecdsa TestVectors/ecdsa-jcs-2019-p256)', () => {
      const p256 = 'zDnaepBuvsQ8cpsWrVKw8fbpGpvPeNSjVPTWoq6cRqaYzBKVP';
      const { bytes } = decodeDid(`did:key:${p256}`);
      const options = {
        type: 'DataIntegrityProof',
        cryptosuite: 'ecdsa-jcs-2019',
        created: '2023-02-24T23:36:38Z',
        proofPurpose: 'assertionMethod',
      };
      // Two states of the vectors: of before and after the suite put the document's context into the proof.
      const before = hashData(unsigned, { ...options, verificationMethod: `did:key:${p256}#${p256}` });
      expect(hex(before)).toBe(
        '9c4b552d65fcb106b6b27ec2436d8ae81b319afc7aeaab7964b2938cd120cec359b7cb6251b8991add1ce0bc83107e3db9dbbab5bd2c28f687db1a03abc92f19',
      );
      const after = hashData(unsigned, {
        ...options,
        verificationMethod: `https://vc.example/issuers/5678#${p256}`,
        '@context': (unsigned as { '@context': string[] })['@context'],
      });
      for (const [message, signature] of [
        [
          before,
          base58.decode('q6PrUMCtqY5obCSsrQxuFJdGffCDxvFuopdZiBPUBRTFEs1VVsBZi8YiEwVWgHYrXxoV93gBHqGDBtQLPFxpZxz'),
        ],
        [
          after,
          Buffer.from(
            '7befc76b324ffb93073c7b9c59a11ec548f6e034da6be2f40044e7f2c4e2b60646c50b158666a802a83979cc31751619888d43cd1a3e103b73deaeb5dc8a4a3a',
            'hex',
          ),
        ],
      ] as const)
        expect(VERIFIERS['P-256'].verify(signature, message, bytes)).toBe(true);
    });
  });

describe.each(KEY_TYPES)('a proof by a key of %s', (keyType) => {
  const signer = signerOf('signer', keyType);
  const other = signerOf('other', keyType);
  const created = '2026-01-02T03:04:05Z';
  const document = { '@context': ['a:b', 'c:d'], type: 'Thing', list: [1, 'zwei', null, { deep: true }], n: -1.5 };
  const options = { purpose: 'authentication', created, challenge: 'c', domain: 'd/e' } as const;
  const secured = addProof(document, signer, options);
  const expected = { did: signer.did, purpose: 'authentication' } as const;
  const fate = (changed: unknown) => code(() => verifyProof(changed as Secured<object>, expected));

  it('verifies whatever the order and spelling of the document', () => {
    verifyProof(secured, expected);
    const { proof, ...rest } = secured;
    const turned = Object.fromEntries(Object.entries(rest).reverse());
    verifyProof({ proof: Object.fromEntries(Object.entries(proof).reverse()), ...turned } as never, expected);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' })), (any) => {
        const { proof: _, '@context': __, ...body } = any as Record<string, unknown>;
        const made = addProof(body, signer, { purpose: 'assertionMethod', created });
        verifyProof(JSON.parse(JSON.stringify(made)), { did: signer.did, purpose: 'assertionMethod' });
      }),
      { numRuns: 25, seed: 3 },
    );
  });

  it('covers every member of the document and of itself', () => {
    const { proof } = secured;
    const changes: unknown[] = [
      { ...secured, n: -1.25 },
      { ...secured, more: 1 },
      { ...secured, list: [1, 'zwei', null, { deep: false }] },
      { ...secured, '@context': ['a:b'] },
      { ...secured, '@context': ['c:d', 'a:b'] },
      { ...secured, type: undefined },
      ...Object.entries({
        created: '2026-01-02T03:04:06Z',
        challenge: 'x',
        domain: 'd/f',
        '@context': ['a:b'],
        proofPurpose: 'assertionMethod',
        verificationMethod: proof.verificationMethod.replaceAll(signer.did.slice(8), other.did.slice(8)),
        cryptosuite: keyType === 'P-256' ? 'eddsa-jcs-2022' : 'ecdsa-jcs-2019',
      }).map(([name, value]) => ({ ...secured, proof: { ...proof, [name]: value } })),
      ...['challenge', 'domain', '@context'].map((name) => {
        const less = { ...proof } as Record<string, unknown>;
        delete less[name];
        return { ...secured, proof: less };
      }),
    ];
    for (const changed of changes) expect(fate(changed), JSON.stringify(changed)).toBe('PROOF_INVALID');
    for (const changed of [
      { ...secured, proof: { ...proof, nonce: 'x' } },
      { ...secured, proof: [proof] },
      { ...secured, proof: { ...proof, type: 'Ed25519Signature2020' } },
      { ...secured, proof: { ...proof, expires: created } },
      document,
    ])
      expect(fate(changed), JSON.stringify(changed)).toBe('MESSAGE_INVALID');
  });

  it('no bit of the signature may be another', () => {
    const signature = base58.decode(secured.proof.proofValue.slice(1));
    for (let bit = 0; bit < 512; bit += 3) {
      const flipped = Uint8Array.from(signature);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const proof = { ...secured.proof, proofValue: `z${base58.encode(flipped)}` };
      expect(fate({ ...secured, proof }), `bit ${bit}`).toBe('PROOF_INVALID');
    }
    for (const bytes of [signature.subarray(1), Uint8Array.of(...signature, 0), Uint8Array.of(0, ...signature)])
      expect(fate({ ...secured, proof: { ...secured.proof, proofValue: `z${base58.encode(bytes)}` } })).toBe(
        'PROOF_INVALID',
      );
  });

  it('the strict rules hold for another verifier, too: it is not asked', () => {
    const asked: [PublicKey, Uint8Array][] = [];
    const verify = (key: PublicKey, message: Uint8Array) => asked.push([key, message]) > 0;
    verifyProof(secured, { ...expected, verify });
    verifyProof(secured, { ...expected, verify });
    expect(asked[0]?.[0]).toBe(asked[1]?.[0]); // the same object: who verifies can remember what it made of it
    expect(asked[0]?.[0].type).toBe(keyType);
    const high = base58.decode(secured.proof.proofValue.slice(1));
    high.fill(0xff, 32); // S above the group order, s above half of it
    const proof = { ...secured.proof, proofValue: `z${base58.encode(high)}` };
    expect(code(() => verifyProof({ ...secured, proof }, { ...expected, verify }))).toBe('PROOF_INVALID');
    expect(asked).toHaveLength(2);
    expect(code(() => verifyProof(secured, { ...expected, verify: () => false }))).toBe('PROOF_INVALID');
  });
});

it('a key of small order signs nothing, whatever the equation says', () => {
  // The identity: [S]B = R for S = 0, R = identity under any message, where nobody looks at the key.
  const identity = Uint8Array.of(0xed, 0x01, 1, ...new Uint8Array(31));
  const did = `did:key:z${base58.encode(identity)}`;
  const secured = addProof(
    { a: 1 },
    { did, sign: () => Uint8Array.of(1, ...new Uint8Array(63)) },
    {
      purpose: 'assertionMethod',
      created: '2026-01-02T03:04:05Z',
    },
  );
  expect(['DID_INVALID', 'PROOF_INVALID']).toContain(
    code(() => verifyProof(secured, { did, purpose: 'assertionMethod', verify: () => true })),
  );
});
