/**
 * What the auditor believes beforehand: the log's key and the contract. What was pasted is kept in this browser and comes
 * first; what the gateway says of itself stands in where nothing was; a saved verify.html brings what it was saved with.
 */
import { computed, signal } from '@preact/signals';
import type { ChainView, WitnessesView } from '../../api/views.ts';
import type { Trust } from './file.ts';

/** As it stands in the fields. `ask`: whether the chain is asked. */
export type Fields = { key: string; contract: string; rpc: string; witnesses: string; quorum: string };
export type Field = keyof Fields;
type Source = 'own' | 'file' | 'gateway' | 'none';

const KEY = 'sejong-edge.trust';
const NOTHING: Fields = { key: '', contract: '', rpc: '', witnesses: '', quorum: '' };

function kept(): Partial<Fields> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Fields>;
  } catch {
    return {}; // no storage, as in a file of some browsers
  }
}

function ofFile(): Partial<Fields> {
  const text = document.getElementById('trust')?.textContent;
  return text ? (JSON.parse(text) as Partial<Fields>) : {};
}

const own = signal<Partial<Fields>>(kept());
const file = signal<Partial<Fields>>(ofFile());
const gateway = signal<Partial<Fields>>({});
/** Whether the chain is to be asked. */
export const askChain = signal(true);

/** What is in each field, and from whom. */
export const fields = computed<Record<Field, { value: string; from: Source }>>(() => {
  const of = (name: Field): { value: string; from: Source } => {
    for (const [from, values] of [
      ['own', own.value],
      ['file', file.value],
      ['gateway', gateway.value],
    ] as const)
      if (values[name] !== undefined) return { value: values[name], from };
    return { value: '', from: 'none' };
  };
  return Object.fromEntries((Object.keys(NOTHING) as Field[]).map((name) => [name, of(name)])) as ReturnType<
    typeof Object.fromEntries
  > as Record<Field, { value: string; from: Source }>;
});

/** @param value undefined: what the gateway says again */
export function setField(name: Field, value: string | undefined): void {
  const { [name]: _, ...rest } = own.value;
  own.value = value === undefined ? rest : { ...rest, [name]: value.trim() };
  try {
    localStorage.setItem(KEY, JSON.stringify(own.value));
  } catch {
    // it is kept for as long as the page is open
  }
}

/** Asks the gateway that served this page, once. Nothing where there is none: a file was opened, or it is off. */
export async function askGateway(): Promise<void> {
  if (!/^https?:$/.test(location.protocol) || gateway.value.key !== undefined) return;
  const text = (path: string) => fetch(path).then((answer) => (answer.ok ? answer.text() : Promise.reject(answer)));
  const [key, chain, witnesses] = await Promise.allSettled([
    text('/log/key'),
    text('/log/chain'),
    text('/log/witnesses'),
  ]);
  if (key.status !== 'fulfilled') return;
  const place = chain.status === 'fulfilled' ? (JSON.parse(chain.value) as ChainView).chain : null;
  const by = witnesses.status === 'fulfilled' ? (JSON.parse(witnesses.value) as WitnessesView) : undefined;
  gateway.value = {
    key: key.value.trim(),
    ...(place ? { contract: place.contract, ...(place.rpc ? { rpc: place.rpc } : {}) } : {}),
    ...(by && by.witnesses.length > 0
      ? { witnesses: by.witnesses.map((w) => w.key).join('\n'), quorum: String(by.quorum) }
      : {}),
  };
}

/** What is wrong with a field, in a word that verify.words.ts has. */
export const flaw = computed<Partial<Record<Field, 'noKey' | 'badKey' | 'badContract' | 'badRpc' | 'badQuorum'>>>(
  () => {
    const { key, contract, rpc, witnesses, quorum } = fields.value;
    const count = witnessKeys(witnesses.value).length;
    return {
      ...(key.value === ''
        ? { key: 'noKey' }
        : /^[^+\s]+\+[0-9a-f]{8}\+[\w+/=]+$/.test(key.value)
          ? {}
          : { key: 'badKey' }),
      ...(contract.value === '' || /^0x[0-9a-fA-F]{40}$/.test(contract.value) ? {} : { contract: 'badContract' }),
      ...(rpc.value === '' || (URL.canParse(rpc.value) && /^https?:/.test(rpc.value)) ? {} : { rpc: 'badRpc' }),
      ...(count === 0 || (/^\d+$/.test(quorum.value) && Number(quorum.value) >= 1 && Number(quorum.value) <= count)
        ? {}
        : { quorum: 'badQuorum' }),
    };
  },
);

const witnessKeys = (text: string): string[] => text.split(/\s+/).filter((key) => key !== '');

/** For the verifier; undefined where a field has a flaw. */
export const trust = computed<Trust | undefined>(() => {
  if (Object.keys(flaw.value).length > 0) return undefined;
  const { key, contract, rpc, witnesses, quorum } = fields.value;
  const keys = witnessKeys(witnesses.value);
  return {
    key: key.value,
    chain: askChain.value && contract.value && rpc.value ? { contract: contract.value, rpc: rpc.value } : undefined,
    witnesses: keys.length > 0 ? { keys, quorum: Number(quorum.value) } : undefined,
  };
});

/** To be saved with verify.html. */
export const toSave = (): Partial<Fields> =>
  Object.fromEntries(Object.entries(fields.value).flatMap(([name, { value }]) => (value ? [[name, value]] : [])));
