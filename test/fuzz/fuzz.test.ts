import { describe, expect, it, onTestFinished } from 'vitest';
import { wholeTruth } from '../support/whole-truth.ts';
import { fuzz, replay } from './fuzz.ts';
import { fuzzBroker } from './mqtt.ts';
import { TARGETS } from './targets.ts';

const SEED = 20_240_817;
/** The slow ones check signatures with @noble/ed25519. */
const CASES: Record<string, number> = {
  envelope: 12_000,
  receipt: 1_500,
  checkpoint: 1_000,
  tile: 10_000,
  senml: 10_000,
  jwt: 500,
  rtu: 10_000,
  'modbus-tcp': 10_000,
  dlms: 6_000,
  obd: 2_000,
  p1: 2_000,
  'mode-c': 2_000,
  nmea: 2_000,
  presentation: 1_000,
  challenge: 1_000,
  'city-bundle': 800,
  'status-list': 1_000,
};

describe('mutated inputs crash nothing, and are accepted only where other code finds them right', () => {
  for (const target of TARGETS)
    it(`${target.name}: the corpus, and ${CASES[target.name]} mutants of it`, async () => {
      expect(await replay(target)).toEqual([]);
      const cases = CASES[target.name] as number;
      const result = await fuzz(target, { seed: SEED, cases });
      expect(result.findings.map(({ input, why }) => `${Buffer.from(input).toString('hex')} ${why}`)).toEqual([]);
      expect(result).toMatchObject({ crashed: 0, wronglyAccepted: 0 });
      expect(result.refused + result.accepted).toBe(cases);
      expect(result.refused).toBeGreaterThan(cases / 3);
      expect(result.accepted, 'some come through').toBeGreaterThan(0);
    });
});

const PACKETS = 16_000;
it(`${PACKETS} mutated packets neither take the broker down nor bring in an envelope that is not the device's own`, async () => {
  const { close, gateway, folder, ...result } = await fuzzBroker({ seed: SEED, cases: PACKETS });
  onTestFinished(close);
  expect(result.findings.map(({ why }) => why)).toEqual([]);
  expect(result).toMatchObject({ crashed: 0, wronglyAccepted: 0 });
  expect(result.accepted, 'the fuzz did reach the accept path').toBeGreaterThan(0);
  const { counts } = gateway.parts.mqtt;
  expect(counts.malformed).toBeGreaterThan(counts.connections / 4);
  expect(counts.forbidden).toBeGreaterThan(0);
  await gateway.close();
  const truth = wholeTruth(folder, { verifyOneIn: 5 });
  expect(truth.entries).toBe(1 + result.accepted + result.honestSent);
  expect([...truth.quarantined.keys()]).toEqual(
    expect.arrayContaining(['CBOR_INVALID', 'ENVELOPE_INVALID', 'ISSUER_MISMATCH', 'SIGNATURE_INVALID']),
  );
});
