import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import {
  asCertificateCredential,
  certificateSchema,
  issueCertificate,
  kstMonthOf,
  makeCertificate,
  verifyCertificateProof,
} from '../../edge/credits/certificate.ts';
import { canonicalJson } from '../../edge/wire/vc/jcs.ts';
import { GATEWAY, makeFile } from './certificate-rig.ts';

const { facts } = makeFile();

describe('the certificate', () => {
  it('has a JSON Schema (2020-12), the same in the repository as in the code, and fits it by another validator', () => {
    const file = JSON.parse(readFileSync(new URL('../../edge/schemas/certificate.json', import.meta.url), 'utf8'));
    expect(file).toEqual(certificateSchema());
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(file);
    const certificate = makeCertificate(facts);
    expect(validate(certificate), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...certificate, extra: 1 })).toBe(false);
    expect(validate({ ...certificate, slot: { ...certificate.slot, seconds: 900 } })).toBe(false);
  });

  it('says null where nobody knows, and makes nothing up', () => {
    const { identity, plant, rec } = makeCertificate(facts);
    expect(plant).toMatchObject({ technology: null, commissioned: null, supportReceived: null, dissemination: null });
    expect(identity).toMatchObject({ expires: null, supersedes: null, countryOfIssuance: 'KR', legalStatus: 'none' });
    expect(rec).toEqual({ month: '2026-11', applyBy: '2027-02-28', weight: null, statutory: false });
    const bare = { ...facts.plant, energySource: null, capacityW: null, area: null };
    expect(makeCertificate({ ...facts, plant: bare })).toMatchObject({
      identity: { countryOfIssuance: null },
      plant: { energySource: null, capacityW: null, area: null },
    });
  });

  it('is in the month of Korea, which begins at 15:00Z of the day before', () => {
    const second = (text: string): number => Date.parse(text) / 1000;
    expect(kstMonthOf(second('2026-10-31T14:00:00Z'))).toBe('2026-10');
    expect(kstMonthOf(second('2026-10-31T15:00:00Z'))).toBe('2026-11');
    expect(kstMonthOf(second('2026-12-31T15:00:00Z'))).toBe('2027-01');
  });

  it('names each reading by when it was read; of a day profile that is the hour itself', () => {
    expect(makeCertificate(facts).meter.start.read).toBe('2026-11-24T03:00:11Z');
    const profile = makeCertificate(makeFile({ shape: 'profile' }).facts).meter;
    expect([profile.start.read, profile.end.read]).toEqual(['2026-11-24T03:00:00Z', '2026-11-24T04:00:00Z']);
  });

  it('is a verifiable credential by the gateway; the same facts give the same bytes', () => {
    const credential = issueCertificate(makeCertificate(facts), GATEWAY);
    expect(credential['@context'][0]).toBe('https://www.w3.org/ns/credentials/v2');
    expect(credential).toMatchObject({ issuer: GATEWAY.did, proof: { cryptosuite: 'eddsa-jcs-2022' } });
    verifyCertificateProof(asCertificateCredential(credential));
    expect(canonicalJson(issueCertificate(makeCertificate(facts), GATEWAY))).toEqual(canonicalJson(credential));
    const other = { ...credential, credentialSubject: makeCertificate({ ...facts, wh: facts.wh + 1 }) };
    expect(() => verifyCertificateProof(asCertificateCredential(other))).toThrow(/PROOF_INVALID/);
    for (const bad of [
      { ...credential, id: 'urn:x' },
      { ...credential, more: 1 },
      { ...credential, issuer: facts.device },
    ])
      expect(() => asCertificateCredential(bad)).toThrow(/CREDIT_INVALID/);
  });

  it('is refused at once where its facts make none', () => {
    expect(() => makeCertificate({ ...facts, wh: -1 })).toThrow(/INTERNAL/);
    expect(() => makeCertificate({ ...facts, gsrn: '881' })).toThrow(/INTERNAL/);
  });
});
