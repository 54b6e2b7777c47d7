import { describe, expect, it } from 'vitest';
import { type BuildingInput, buildingReport, signBuilding } from '../../edge/credits/building.ts';
import { verifyProof } from '../../edge/wire/vc/proof.ts';
import { GATEWAY } from './certificate-rig.ts';

const FROM = Date.UTC(2026, 9, 31, 15) / 1000;
const UNTIL = Date.UTC(2026, 10, 30, 15) / 1000;
const METER = 'did:key:z6Mkmeter';

function register(meteringPoint: string, obis: string, startWh: number, endWh: number) {
  const reading = (at: number, registerWh: number, entry: number) => ({ device: METER, iat: at, registerWh, entry });
  return {
    ...{ meteringPoint, obis, modulusWh: null as number | null },
    ...{ start: reading(FROM + 3, startWh, 5), end: reading(UNTIL - 40, endWh, 900) },
  };
}
const input = (over: Partial<BuildingInput> = {}): BuildingInput => ({
  ...{ from: FROM, until: UNTIL, receipts: [] },
  generation: [register('urn:x:roof', '1-0:2.8.0', 10_000, 310_000), register('urn:x:wall', '1-0:2.8.0', 0, 100_000)],
  import: register('urn:x:grid', '1-0:1.8.0', 500, 200_500),
  export: register('urn:x:grid', '1-0:2.8.0', 0, 150_000),
  ...over,
});

describe('the evidence of a building', () => {
  it('is generation less export, over that and import; of registers, with their times', () => {
    const report = buildingReport(input());
    expect(report).toMatchObject({
      ...{ generationWh: 400_000, importWh: 200_000, exportWh: 150_000, ownUseWh: 250_000, consumptionWh: 450_000 },
      ...{ selfSufficiency: '0.5555', selfConsumption: '0.6250', exportMeasured: true },
      period: { from: '2026-10-31T15:00:00Z', until: '2026-11-30T15:00:00Z' },
    });
    expect(report.generation[0]).toMatchObject({ wh: 300_000, start: { read: '2026-10-31T15:00:03Z', entry: 5 } });
  });

  it('states no grade, and says so', () => {
    const report = buildingReport(input());
    expect(report.statement).toContain('no ZEB grade');
    expect(JSON.stringify({ ...report, statement: '' })).not.toMatch(/grade|ZEB/i);
  });

  it('says where export was not measured, and divides by nothing without a word', () => {
    expect(buildingReport(input({ export: undefined }))).toMatchObject({
      export: null,
      exportMeasured: false,
      exportWh: 0,
    });
    const still = register('urn:x:roof', '1-0:2.8.0', 7, 7);
    const grid = register('urn:x:grid', '1-0:1.8.0', 7, 7);
    expect(buildingReport(input({ generation: [still], import: grid, export: undefined }))).toMatchObject({
      ...{ selfSufficiency: null, selfConsumption: null },
    });
  });

  it('takes a register that began anew where its modulus says so', () => {
    const roof = { ...register('urn:x:roof', '1-0:2.8.0', 999_900, 400_000), modulusWh: 1_000_000 };
    expect(buildingReport(input({ generation: [roof] }))).toMatchObject({ generationWh: 400_100 });
  });

  it.each<[string, () => BuildingInput]>([
    ['no plant', () => input({ generation: [] })],
    ['a register that fell', () => input({ generation: [register('urn:x:roof', '1-0:2.8.0', 400_000, 399_999)] })],
    ['more given back than made', () => input({ export: register('urn:x:grid', '1-0:2.8.0', 0, 400_001) })],
    [
      'another meter at the end',
      () => {
        const grid = register('urn:x:grid', '1-0:1.8.0', 1, 2);
        return input({ import: { ...grid, end: { ...grid.end, device: 'did:key:z6Mkother' } } });
      },
    ],
    [
      'a reading too far from the end of the period',
      () => {
        const grid = register('urn:x:grid', '1-0:1.8.0', 1, 2);
        return input({ import: { ...grid, end: { ...grid.end, iat: UNTIL + 901 } } });
      },
    ],
  ])('is refused: %s', (_, wanted) => {
    expect(() => buildingReport(wanted())).toThrow(/^EVIDENCE_INCOMPLETE/);
  });

  it('is signed as a whole, receipts and all', () => {
    const evidence = signBuilding(input(), GATEWAY, FROM * 1000);
    const check = (of: typeof evidence) => () => verifyProof(of, { did: GATEWAY.did, purpose: 'assertionMethod' });
    expect(check(evidence)).not.toThrow();
    const { credentialSubject } = evidence;
    expect(check({ ...evidence, credentialSubject: { ...credentialSubject, importWh: 1 } })).toThrow(/PROOF_INVALID/);
    expect(check({ ...evidence, receipts: [{} as never] })).toThrow(/PROOF_INVALID/);
  });
});
