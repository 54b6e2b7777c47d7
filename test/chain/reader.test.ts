/**
 * The contract takes what edge/wire takes, and reads the same in it. In the suite a few thousand changed envelopes; once,
 * more than a hundred thousand: `READER_CASES=120000 READER_SEED=1 npx vitest run test/chain/reader.test.ts`.
 */
import { expect, it } from 'vitest';
import { TestChain } from '../support/anvil.ts';
import { compareReaders, deployReader } from './reader.ts';

const cases = Number(process.env.READER_CASES ?? 3000);
const seed = Number(process.env.READER_SEED ?? 5);

it('the contract and the gateway never disagree on what is accepted, or on a value', {
  timeout: 1_800_000,
}, async () => {
  const read = await deployReader(await TestChain.start());
  const outcome = await compareReaders(read, { seed, cases, progress: (done) => done && console.info(`${done} read`) });
  const { readings, profiles, unbilled, disagreements } = outcome;
  if (process.env.READER_CASES) console.info(`${cases} read, taken: ${readings} readings, ${profiles} day profiles`);
  expect(disagreements.slice(0, 5)).toEqual([]);
  // Enough of each that the agreement says something.
  expect(readings).toBeGreaterThan(cases / 10);
  expect(profiles).toBeGreaterThan(cases / 25);
  expect(unbilled).toBeGreaterThan(cases / 25);
});
