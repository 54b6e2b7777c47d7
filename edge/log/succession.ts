/**
 * What the gateway says in its own log when another device takes over a metering point. Of kinds that are sealed it is
 * sealed as a whole. Pure.
 *
 *   replaced            DID of the device that is over
 *   replaced-by         DID of the one that goes on
 *   replaced-how        swap: another device. rekey: the same one, with a new key
 *   final/<OBIS>        of a swap: the last register of the old one, Wh; left out where nobody could read it
 *   initial/<OBIS>      of a swap: the first register of the new one, Wh, likewise
 *   replaced-proof      of a rekey: what the old key signed (wire/rekey.ts), where the device holds its key
 */
import type { SenmlRecord } from '../wire/senml.ts';

/** Of one OBIS code. Null where it could not be read. */
export type Registers = { obis: string; finalWh: number | null; initialWh: number | null };

export type Succession = {
  did: string;
  by: string;
  how: 'swap' | 'rekey';
  registers?: Registers | undefined;
  proof?: Uint8Array | undefined;
};

export function successionRecords({ did, by, how, registers, proof }: Succession): SenmlRecord[] {
  const register = (name: string, v: number | null): SenmlRecord[] =>
    registers && v !== null ? [{ n: `${name}/${registers.obis}`, u: 'Wh', v }] : [];
  return [
    { n: 'replaced', vs: did },
    { n: 'replaced-by', vs: by },
    { n: 'replaced-how', vs: how },
    ...register('final', registers?.finalWh ?? null),
    ...register('initial', registers?.initialWh ?? null),
    ...(proof ? [{ n: 'replaced-proof', vd: proof }] : []),
  ];
}

/** Of an envelope of the gateway's own; undefined where it speaks of something else. */
export function parseSuccession(records: readonly SenmlRecord[]): Succession | undefined {
  const [did, by, how] = records.map(({ vs }) => vs);
  if (records[0]?.n !== 'replaced' || did === undefined || by === undefined) return undefined;
  const final = records.find(({ n }) => n.startsWith('final/'));
  const initial = records.find(({ n }) => n.startsWith('initial/'));
  const obis = (final ?? initial)?.n.split('/')[1];
  return {
    did,
    by,
    how: how === 'rekey' ? how : 'swap',
    registers: obis === undefined ? undefined : { obis, finalWh: final?.v ?? null, initialWh: initial?.v ?? null },
    proof: records.find(({ n }) => n === 'replaced-proof')?.vd,
  };
}
