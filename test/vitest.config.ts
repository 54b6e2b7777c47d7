import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One more than the two cores that this must be fast on: the long tests mostly wait for processes of their own.
    maxWorkers: 3,
    pool: 'forks',
    reporters: process.env.CI ? ['default', './test/reporter.ts'] : ['default'],
  },
});
