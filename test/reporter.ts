import type { Reporter, TestModule } from 'vitest/node';

/** One plain closing line, "N passed, N failed, N skipped", for readers that know no test runner; before it, who passed only at the second try. */
export default class PlainCount implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules)
      for (const test of module.children.allTests()) {
        count[test.result().state]++;
        if (test.diagnostic()?.flaky) console.log(`at the second try: ${module.relativeModuleId} > ${test.fullName}`);
      }
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`);
  }
}
