import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One more than the two cores that this must be fast on: the long tests mostly wait for processes of their own.
    maxWorkers: 3,
    pool: 'forks',
    // Some two thousand tests with real clocks, browsers and chains on a busy machine: one may lose a race of its own. The second
    // try is for CI alone, and its reporter names who needed it, so that nobody gets used to it.
    retry: process.env.CI ? 1 : 0,
    reporters: process.env.CI ? ['default', './test/reporter.ts'] : ['default'],
  },
});
