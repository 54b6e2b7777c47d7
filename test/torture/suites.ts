/**
 * Attacks that are tests: the suite runs them each time, and the full form of the torture once more, so that its table
 * has them all. Each of these tests ends with the whole truth; a test that fails counts as one that was lost.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { onTestFinished } from '../support/ends.ts';
import { tempFolder } from '../support/temp.ts';
import type { Attack } from './attack.ts';

const VITEST = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
/** This machine may be busy with what was started before: only a test that hangs is to end here. */
const TEST_MS = '180000';

type Report = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { assertionResults: { status: string; fullName: string; failureMessages: string[] }[] }[];
};

const suite = (name: string, says: string, ...files: string[]): Attack => suiteWith({}, name, says, ...files);

/** @param env what makes a test go further than it does in the suite */
const suiteWith = (env: NodeJS.ProcessEnv, name: string, says: string, ...files: string[]): Attack => ({
  name,
  says: `${says} (${files.join(', ')})`,
  fullOnly: true,
  run: async ({ say }) => {
    const out = join(tempFolder(), 'report.json');
    const args = ['run', ...files, '--maxWorkers=2', '--testTimeout', TEST_MS, '--hookTimeout', TEST_MS];
    const child = spawn(process.execPath, [VITEST, ...args, '--reporter=json', '--outputFile', out], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...env },
    });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    onTestFinished(async () => {
      child.kill('SIGTERM');
      await ended;
    });
    await ended;
    const report = JSON.parse(readFileSync(out, 'utf8')) as Report;
    const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = report;
    const wrong = report.testResults
      .flatMap((file) => file.assertionResults)
      .filter(({ status }) => status === 'failed')
      .map((t) => `${t.fullName}: ${t.failureMessages[0]?.split('\n')[0]}`);
    for (const line of wrong) say(line);
    return {
      counts: { tests: passed + failed, ...(skipped > 0 ? { skipped } : {}) },
      lost: failed,
      twice: 0,
      ok: failed === 0 && passed > 0,
      detail: wrong.join('\n'),
    };
  },
});

export const attacks: readonly Attack[] = [
  suite(
    'damage',
    'a database overwritten, cut off, emptied, replaced or gone',
    'test/epoch',
    'test/store/store.test.ts',
  ),
  suite('old-copy', 'an older copy of the data folder put back', 'test/chain/rollback.test.ts'),
  suite('full-disk', 'a quota and a full file system', 'test/e2e/disk.test.ts'),
  suite(
    'forgetting',
    'payloads pruned and thinned, with kills in the middle',
    'test/e2e/retention-kill.test.ts',
    'test/log/prune.test.ts',
    'test/api/retention.test.ts',
    'test/api/gaps.test.ts',
  ),
  suite('witnesses', 'hostile, slow, absent witnesses, and logs that fork before an honest one', 'test/witness'),
  suite(
    'fraud',
    'contradicting checkpoints and heads; every bit of each kind of receipt',
    'test/chain/fraud.test.ts',
    'test/chain/formats.test.ts',
  ),
  suite(
    'sender',
    'kills between each two steps, reorgs, stuck and lost transactions, chains that hang and lie',
    'test/chain/sender.test.ts',
    'test/chain/rpc.test.ts',
    'test/chain/restart.test.ts',
    'test/chain/contention.test.ts',
  ),
  suiteWith(
    { STEPS: '1000000' },
    'checks',
    'a million steps of vehicles at gates, in whatever order; restarts; each bad vehicle over MQTT',
    'test/checks',
    'test/e2e/checks.test.ts',
  ),
  suite(
    'sealed',
    'forgetting with kills in the middle; all that is open, read for what must not be there',
    'test/e2e/forget-kill.test.ts',
    'test/e2e/privacy.test.ts',
  ),
  suite(
    'keys',
    'a rotation killed at each step; all that a run says and leaves, read for secrets',
    'test/cli/keys.test.ts',
    'test/e2e/secrets.test.ts',
  ),
  suite(
    'credits',
    'a Wh tried twice: late data, other readings, faster strangers, reorgs, withdrawals, kills; histories in any order',
    'test/chain/credits.test.ts',
    'test/credits',
    'test/e2e/credits.test.ts',
  ),
  suite('broker', 'malformed, oversize, half-open, slow and forbidden', 'test/intake'),
];
