/**
 * Mutated inputs against a parser. Each one is refused with an error of the table, or accepted for a reason that other
 * code than the parser's own finds good. Anything else is a finding, and belongs into the corpus.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EdgeError } from '../../edge/errors.ts';
import { type Below, mutate, numbers } from './mutate.ts';

export type Target = {
  name: string;
  /**
   * @returns undefined where it was rightly accepted, else why it should not have been
   * @throws EdgeError where it is refused
   */
  judge: (input: Uint8Array, below: Below) => string | undefined | Promise<string | undefined>;
  /** A change of its own, beside those of the bytes: one that is signed again after it, say. */
  change?: (original: Uint8Array, other: Uint8Array, below: Below) => Uint8Array;
};

export type Finding = { input: Uint8Array; why: string };
export type Result = {
  target: string;
  cases: number;
  refused: number;
  accepted: number;
  /** Neither refused as it should be nor rightly accepted. */
  crashed: number;
  wronglyAccepted: number;
  seconds: number;
  /** The first few. */
  findings: Finding[];
};

const CORPUS = fileURLToPath(new URL('./corpus', import.meta.url));
const FINDINGS_KEPT = 20;
const AT_A_TIME = 20_000;

/** `valid`: accepted as they are; `refused`: what was found once, and refused ever since. */
export function corpus(target: string, kind: 'valid' | 'refused'): { name: string; bytes: Uint8Array }[] {
  const folder = join(CORPUS, target, kind);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name: `${kind}/${name}`, bytes: new Uint8Array(readFileSync(join(folder, name))) }));
}

/** What the parser says of one input. */
async function ask(target: Target, input: Uint8Array, below: Below): Promise<'refused' | 'accepted' | Finding> {
  try {
    const why = await target.judge(input, below);
    return why === undefined ? 'accepted' : { input, why };
  } catch (error) {
    if (error instanceof EdgeError && error.act === 'refuse') return 'refused';
    return { input, why: `crashed: ${(error as Error)?.stack ?? String(error)}` };
  }
}

/** @param progress told now and then how many are done */
export async function fuzz(
  target: Target,
  { seed, cases, progress }: { seed: number; cases: number; progress?: (done: number) => void },
): Promise<Result> {
  const began = performance.now();
  const below = numbers(seed);
  const valid = corpus(target.name, 'valid').map(({ bytes }) => bytes);
  if (valid.length === 0) throw new Error(`no corpus for ${target.name}: node test/fuzz/make-corpus.ts`);
  // Near misses are as good a start as what is right.
  const starts = [...valid, ...valid, ...corpus(target.name, 'refused').map(({ bytes }) => bytes)];
  const result: Result = {
    target: target.name,
    cases,
    refused: 0,
    accepted: 0,
    crashed: 0,
    wronglyAccepted: 0,
    seconds: 0,
    findings: [],
  };
  const one = (): Uint8Array => starts[below(starts.length)] as Uint8Array;
  for (let i = 0; i < cases; i++) {
    const change = target.change && below(2) === 0 ? target.change : mutate;
    const answer = await ask(target, change(one(), one(), below), below);
    if (typeof answer === 'string') result[answer]++;
    else {
      result[answer.why.startsWith('crashed') ? 'crashed' : 'wronglyAccepted']++;
      if (result.findings.length < FINDINGS_KEPT) result.findings.push(answer);
    }
    if (progress && i % AT_A_TIME === AT_A_TIME - 1) progress(i + 1);
  }
  result.seconds = (performance.now() - began) / 1000;
  return result;
}

/** The corpus as it lies there: what is valid is accepted, what was found once is refused. @returns what is not so */
export async function replay(target: Target): Promise<string[]> {
  const wrong: string[] = [];
  for (const kind of ['valid', 'refused'] as const)
    for (const { name, bytes } of corpus(target.name, kind)) {
      const answer = await ask(target, bytes, numbers(1));
      if (answer !== (kind === 'valid' ? 'accepted' : 'refused'))
        wrong.push(`${target.name} ${name}: ${typeof answer === 'string' ? answer : answer.why}`);
    }
  return wrong;
}
