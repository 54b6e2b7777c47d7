/**
 * How much of its electricity a building made itself: what its plants gave, what it took from the grid and what it gave
 * back, each as the difference of registers that meters signed, over one period. A signed report of what was measured; it
 * states no grade (a ZEB grade counts primary energy, by design values). Pure.
 *
 *   generation   1-0:2.8.0 of its plants' meters
 *   import       1-0:1.8.0 of its meter at the grid
 *   export       1-0:2.8.0 of its meter at the grid
 *   own use      generation - export
 *   consumption  own use + import
 *   self-sufficiency = own use / consumption, self-consumption = own use / generation, both floored to 1/10000
 */
import { EdgeError } from '../errors.ts';
import type { encodeJsonReceipt } from '../log/receipt.ts';
import { CONTEXT } from '../wire/vc/credential.ts';
import { addProof, type Secured, type Signer } from '../wire/vc/proof.ts';
import { timeText } from '../wire/vc/shape.ts';

export const BUILDING_CREDENTIAL = 'SejongBuildingEvidence';
export const IMPORT_REGISTER = '1-0:1.8.0';
/** A reading stands for an end of the period that it is no farther away from: a raw slot. Nothing is interpolated. */
export const NEAR_SECONDS = 900;

export type BuildingReading = {
  device: string;
  /** Unix seconds, by the meter's clock. */
  iat: number;
  registerWh: number;
  entry: number;
};
/** One register of one meter, read at both ends of the period. */
export type BuildingRegister = {
  meteringPoint: string;
  obis: string;
  start: BuildingReading;
  end: BuildingReading;
  modulusWh: number | null;
};
export type BuildingInput = {
  from: number;
  until: number;
  generation: readonly BuildingRegister[];
  import: BuildingRegister;
  /** Undefined where the meter has no such register: then nothing was given back as far as it is known, and it says so. */
  export: BuildingRegister | undefined;
  /** Of all entries that are named, each once, by index. */
  receipts: readonly ReturnType<typeof encodeJsonReceipt>[];
};

const text = (seconds: number): string => timeText(seconds * 1000);
const incomplete = (why: string): never => {
  throw new EdgeError('EVIDENCE_INCOMPLETE', why);
};

function registerView({ meteringPoint, obis, start, end, modulusWh }: BuildingRegister, input: BuildingInput) {
  if (start.device !== end.device) incomplete(`${meteringPoint} has another meter at the end than at the start`);
  const ends = [
    [start, input.from],
    [end, input.until],
  ] as const;
  for (const [{ iat, entry }, at] of ends)
    if (Math.abs(iat - at) > NEAR_SECONDS)
      incomplete(`entry ${entry} is of ${text(iat)}, and ${text(at)} is asked for`);
  const rollover = end.registerWh < start.registerWh;
  if (rollover && (modulusWh === null || start.registerWh >= modulusWh))
    incomplete(`${obis} of ${meteringPoint} fell from ${start.registerWh} to ${end.registerWh}`);
  const wh = end.registerWh - start.registerWh + (rollover ? (modulusWh as number) : 0);
  const reading = ({ iat, registerWh, entry }: BuildingReading) => ({ read: text(iat), wh: registerWh, entry });
  return { meteringPoint, device: start.device, obis, modulusWh, start: reading(start), end: reading(end), wh };
}

/** In ten thousandths, exact; null where there is nothing to divide by. */
const ratio = (part: number, whole: number): string | null =>
  whole === 0 ? null : (Number((BigInt(part) * 10_000n) / BigInt(whole)) / 10_000).toFixed(4);

export type RegisterView = ReturnType<typeof registerView>;
export type BuildingReport = ReturnType<typeof buildingReport>;

/** @throws EdgeError EVIDENCE_INCOMPLETE where the registers don't go together */
export function buildingReport(input: BuildingInput) {
  if (input.generation.length === 0) incomplete('it names no plant');
  const named = [...input.generation, input.import].map(({ meteringPoint, obis }) => `${meteringPoint} ${obis}`);
  if (new Set(named).size < named.length) incomplete('a plant is named twice');
  const generation = input.generation.map((register) => registerView(register, input));
  const imported = registerView(input.import, input);
  const exported = input.export ? registerView(input.export, input) : null;
  const generationWh = generation.reduce((sum, { wh }) => sum + wh, 0);
  const exportWh = exported?.wh ?? 0;
  const ownUseWh = generationWh - exportWh;
  if (ownUseWh < 0)
    incomplete(`${exportWh} Wh were given back of ${generationWh} Wh: a plant, or what a battery gave, is missing`);
  const consumptionWh = ownUseWh + imported.wh;
  return {
    period: { from: text(input.from), until: text(input.until) },
    statement:
      'Metered self-sufficiency: a measurement, and no ZEB grade, which is given for primary energy by those who may.',
    generation,
    import: imported,
    export: exported,
    exportMeasured: exported !== null,
    ...{ generationWh, importWh: imported.wh, exportWh, ownUseWh, consumptionWh },
    selfSufficiency: ratio(ownUseWh, consumptionWh),
    selfConsumption: ratio(ownUseWh, generationWh),
  };
}

export type BuildingEvidence = Secured<{
  '@context': string[];
  type: string[];
  issuer: string;
  validFrom: string;
  credentialSubject: BuildingReport;
  receipts: BuildingInput['receipts'];
}>;

/** The report with its receipts, signed by the gateway. */
export const signBuilding = (input: BuildingInput, gateway: Signer, nowMs: number): BuildingEvidence => {
  const created = timeText(nowMs);
  const report = {
    '@context': [...CONTEXT],
    type: ['VerifiableCredential', BUILDING_CREDENTIAL],
    issuer: gateway.did,
    validFrom: created,
    credentialSubject: buildingReport(input),
    receipts: input.receipts,
  };
  return addProof(report, gateway, { purpose: 'assertionMethod', created });
};
