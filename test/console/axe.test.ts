/** Every page, with something on it, keeps to the rules of accessibility: in both themes, both languages, small and large. */
import { describe, expect, it } from 'vitest';
import { DESK, flaws, hasBrowser, openConsole, PHONE, useBrowser } from './browser.ts';
import { shared } from './shared.ts';
import { startWork } from './work-rig.ts';

useBrowser();
const work = shared(async () => (hasBrowser ? await startWork() : undefined), 120_000);

const addresses = ({ certificate, device, plant, gateway, day }: Awaited<ReturnType<typeof startWork>>): string[] => [
  '#/now',
  '#/district',
  `#/device/${plant.did}`,
  `#/device/${device.did}`,
  '#/log',
  '#/entry/1',
  `#/credits?day=${day}`,
  `#/certificate/${certificate}`,
  '#/checks',
  '#/quarantine',
  '#/verify',
  '#/people',
  `#/nothing/${gateway.info.pid}`,
];

describe.skipIf(!hasBrowser)('accessibility', () => {
  // Two runs meet each theme, each language and both ends of the sizes.
  it.each([
    { theme: 'light', lang: 'en', ...DESK },
    { theme: 'dark', lang: 'ko', ...PHONE },
  ] as const)('every page: $theme, $lang, $width wide', { timeout: 120_000 }, async (view) => {
    const all = work() as Awaited<ReturnType<typeof startWork>>;
    const page = await openConsole(all.gateway, '#/now', { role: 'operator', view });
    const found: string[] = [];
    for (const hash of addresses(all)) {
      await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
      await page.locator('main h1').waitFor();
      await expect.poll(() => page.locator('.loading').count(), { timeout: 10_000 }).toBe(0);
      if ((await page.locator('h1').count()) !== 1) found.push(`${hash}: not one heading of the page`);
      if (!/ · Sejong Edge$/.test(await page.title())) found.push(`${hash}: its title is ${await page.title()}`);
      for (const flaw of await flaws(page)) found.push(`${hash}: ${flaw}`);
      const { clientWidth, scrollWidth } = await page.evaluate<{ clientWidth: number; scrollWidth: number }>(
        '({ clientWidth: document.documentElement.clientWidth, scrollWidth: document.documentElement.scrollWidth })',
      );
      if (scrollWidth > clientWidth) found.push(`${hash}: it scrolls sideways, ${scrollWidth} in ${clientWidth}`);
    }
    expect(found).toEqual([]);
  });

  it('so does signing in', async () => {
    for (const view of [
      { theme: 'light', lang: 'ko' },
      { theme: 'dark', lang: 'en' },
    ] as const) {
      const page = await openConsole((work() as Awaited<ReturnType<typeof startWork>>).gateway, '', {
        role: null,
        view,
      });
      expect(await flaws(page)).toEqual([]);
    }
  });
});
