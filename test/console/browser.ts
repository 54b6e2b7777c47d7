/** A real browser at a real gateway: one of each for a file of tests, and a page for each test. */
import { existsSync } from 'node:fs';
import AxeCore from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import type { Role } from '../../edge/tokens.ts';
import type { TestGateway } from '../support/gateway.ts';

const CHROMIUM = '/usr/bin/chromium';
/** `it.skipIf(!hasBrowser)`: the tests need Debian's chromium. */
export const hasBrowser = existsSync(CHROMIUM);
if (!hasBrowser) console.warn(`${CHROMIUM} is not there: tests in a browser are skipped (apt-get install chromium)`);

export type View = { width: number; height: number; theme: 'light' | 'dark'; lang: 'en' | 'ko' };
export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1440, height: 900 };
export const WALL = { width: 2560, height: 1440 };

let browser: Browser | undefined;

/** To be called once in a file: a browser for all its tests. */
export function useBrowser(): void {
  beforeAll(async () => {
    if (hasBrowser) browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());
}

/**
 * Opens the console, signed in with a token of this role (null: not signed in).
 * What the page throws, or its policy refuses, fails the test.
 */
export async function openConsole(
  gateway: TestGateway,
  hash: string,
  { role = 'viewer', view = {} }: { role?: Role | null; view?: Partial<View> } = {},
): Promise<Page> {
  const { width = DESK.width, height = DESK.height, theme = 'light', lang = 'en' } = view;
  const context = (await browser?.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale: lang === 'ko' ? 'ko-KR' : 'en-GB',
    reducedMotion: 'reduce',
  })) as BrowserContext;
  context.setDefaultTimeout(15_000);
  context.setDefaultNavigationTimeout(60_000); // the first one waits for the build
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(error.stack ?? error.message));
  page.on('console', (line) => {
    if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) wrong.push(line.text());
  });
  onTestFinished(() => expect(wrong).toEqual([]));
  if (role) {
    const session = { token: await gateway.token(role), name: `test ${role}`, role, expiresMs: Date.now() + 600_000 };
    await page.addInitScript((text) => sessionStorage.setItem('sejong-edge.session', text), JSON.stringify(session));
  }
  await page.goto(`${gateway.info.http}/${hash}`);
  await page.locator('h1').first().waitFor();
  return page;
}

/** What axe-core finds against WCAG 2.2 AA and good practice, in a few words each. */
export async function flaws(page: Page): Promise<string[]> {
  await page.evaluate(AxeCore.source);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof AxeCore }).axe.run({
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'],
      resultTypes: ['violations'],
    }),
  );
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((n) => `${n.html.slice(0, 160)} ${n.failureSummary}`).join(' | ')}`,
  );
}
