import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { onTestFinished } from '../support/ends.ts';
import type { TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { Link, offerBundle, startGates } from './gateway.ts';
import { GATES, TestCity, TestVehicle } from './rig.ts';

const HOUR = 3_600_000;
type View = {
  bundle: { version: number; source: string; freshness: string; revocationLatencySeconds: object } | null;
  problem: string | null;
};
const held = async (gateway: TestGateway): Promise<View> => (await gateway.api('/checks/bundle')).body as View;
const health = async (gateway: TestGateway): Promise<{ ok: boolean; detail: string }> =>
  ((await gateway.api('/health', { token: null })).body as { parts: { checks: { ok: boolean; detail: string } } }).parts
    .checks;

describe('a city bundle', () => {
  it('is taken when it is newer, and never goes back: not by the API, not after a restart', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const { did } = gateway.info;
    const now = Date.now();
    const third = city.bundle([did], now, { version: 3 });
    expect((await offerBundle(gateway, third)).status).toBe(200);
    expect((await offerBundle(gateway, third)).status, 'the same bytes again').toBe(200);
    const older = city.bundle([did], now, { version: 2 });
    expect(await offerBundle(gateway, older)).toMatchObject({ status: 409, code: 'BUNDLE_ROLLBACK' });
    const twin = city.bundle([did], now + 1, { version: 3 });
    expect(await offerBundle(gateway, twin)).toMatchObject({ status: 409, code: 'BUNDLE_CONFLICT' });
    expect((await held(gateway)).bundle).toMatchObject({ version: 3, source: 'api', freshness: 'fresh' });
    expect((await gateway.api('/checks/gates')).body).toEqual({
      gates: GATES.map(({ name, zone, purposes }) => ({ name, zone, purposes })),
    });
    const { audit } = (await gateway.api('/audit')).body as { audit: { action: string; on: string }[] };
    expect(
      audit.filter((a) => a.action === 'city-bundle.bring').map((a) => a.on),
      'who brought it is in the log',
    ).toEqual(['version 3', 'version 1']);
    const { text } = await gateway.api('/metrics', { token: null });
    expect(text).toContain('sejong_edge_check_bundle_version 3');
    expect(text).toContain('sejong_edge_check_bundles_refused_total{code="BUNDLE_ROLLBACK"} 1');
    await gateway.finish();

    const again = await startGates(city, { dataFolder: gateway.config.dataFolder, bundle: false });
    expect((await held(again)).bundle?.version).toBe(3);
    expect(await offerBundle(again, older)).toMatchObject({ code: 'BUNDLE_ROLLBACK' });
    expect(await offerBundle(again, twin)).toMatchObject({ code: 'BUNDLE_CONFLICT' });
    expect((await offerBundle(again, city.bundle([did], now, { version: 4 }))).status).toBe(200);
    await again.finish();
  });

  it('of anybody else, or of the future, or of no form, changes nothing', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const { did } = gateway.info;
    const now = Date.now();
    const good = city.bundle([did], now, { version: 9 });
    const bad: [string, Uint8Array][] = [
      ['another city', new TestCity('elsewhere').bundle([did], now, { version: 9 })],
      ['signed by the issuer', city.bundle([did], now, { version: 9, by: city.issuer })],
      ['issued tomorrow', city.bundle([did], now + 24 * HOUR, { version: 9 })],
      ['cut off', good.subarray(0, -1)],
      ['changed', Buffer.from(Buffer.from(good).toString().replace('"version":9', '"version":10'))],
      ['nothing', new Uint8Array(0)],
    ];
    for (const [why, bytes] of bad)
      expect(await offerBundle(gateway, bytes), why).toMatchObject({ status: 400, code: 'CITY_BUNDLE_INVALID' });
    expect((await held(gateway)).bundle?.version).toBe(1);
    const viewer = await fetch(`${gateway.info.http}/checks/bundle`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await gateway.token('engineer')}` },
      body: Buffer.from(good),
    });
    expect(viewer.status).toBe(403);
    await gateway.finish();
  });

  it('says how old it is, and how late a revocation may come: publish, refresh, and what is allowed', async () => {
    const city = new TestCity();
    const bundleUrl = 'http://127.0.0.1:1/never';
    const gateway = await startGates(city, { bundleUrl, refreshSeconds: 300 });
    expect((await held(gateway)).bundle?.revocationLatencySeconds).toEqual({
      publish: 60,
      refresh: 300,
      staleness: 7200,
      total: 7560,
    });
    const { did } = gateway.info;
    for (const [age, freshness] of [
      [1 * HOUR, 'stale'],
      [3 * HOUR, 'too old'],
    ] as const) {
      await offerBundle(gateway, city.bundle([did], Date.now(), { age }));
      expect((await held(gateway)).bundle?.freshness).toBe(freshness);
    }
    const { ok, detail } = await health(gateway);
    expect(ok).toBe(false);
    expect(detail).toMatch(
      /too old.*a revocation takes 7560 s at most \(60 to publish \+ 300 to refresh \+ 7200 allowed\)/,
    );
    await offerBundle(gateway, city.bundle([], Date.now()));
    expect((await health(gateway)).detail).toContain('the city does not vouch for this gateway');
    await gateway.finish();
  });

  it('reaches the next check: a vehicle that was revoked does not pass any more', async () => {
    const city = new TestCity();
    const gateway = await startGates(city);
    const vehicle = new TestVehicle(city, 'revoked', Date.now());
    const link = await Link.open(gateway, vehicle);
    expect((await link.pass()).reason).toBe('OK');
    city.set('suspension', vehicle.credential);
    await offerBundle(gateway, city.bundle([gateway.info.did], Date.now()));
    expect((await link.pass()).reason).toBe('SUSPENDED');
    city.set('suspension', vehicle.credential, false);
    city.set('revocation', vehicle.credential);
    await offerBundle(gateway, city.bundle([gateway.info.did], Date.now()));
    expect((await link.pass()).decision).toMatchObject({ decision: 'DENY', reason: 'REVOKED', bundleVersion: 3 });
    await gateway.finish();
  });
});

describe('the sources', () => {
  it('a file that is dropped is taken, and what is wrong with it is said until it is mended', async () => {
    const city = new TestCity();
    const folder = tempFolder();
    const bundleFile = join(folder, 'bundle.json');
    const drop = (bytes: Uint8Array): void => {
      writeFileSync(`${bundleFile}.new`, bytes);
      renameSync(`${bundleFile}.new`, bundleFile);
    };
    const gateway = await startGates(city, { bundleFile, bundle: false });
    expect((await held(gateway)).bundle).toBeNull();
    drop(city.bundle([gateway.info.did], Date.now()));
    await until(async () => (await held(gateway)).bundle?.version === 1, 'the first one');
    expect((await held(gateway)).bundle).toMatchObject({ source: 'file', revocationLatencySeconds: { refresh: 1 } });
    drop(Buffer.from('{'));
    await until(async () => (await held(gateway)).problem !== null, 'a broken one');
    expect((await held(gateway)).problem).toContain('CITY_BUNDLE_INVALID');
    expect((await health(gateway)).ok).toBe(false);
    drop(city.bundle([gateway.info.did], Date.now()));
    await until(async () => (await held(gateway)).bundle?.version === 2, 'the next one');
    expect(await held(gateway)).toMatchObject({ problem: null });
    await gateway.finish();
  });

  it('a URL is asked again and again, within bounds of size and time', async () => {
    const city = new TestCity();
    let answer = (response: ServerResponse): unknown => response.writeHead(500).end();
    let asked = 0;
    const server = createServer((_, response) => {
      asked++;
      answer(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => server.closeAllConnections());
    onTestFinished(() => server.close());
    const bundleUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bundle`;
    const gateway = await startGates(city, { bundleUrl, refreshSeconds: 1, fetchSeconds: 0.5, bundle: false });
    const problem = (text: string) =>
      until(async () => (await held(gateway)).problem?.includes(text) === true, `${text} is said`);
    await problem('HTTP 500');
    answer = (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    await problem('fetch failed');
    answer = () => undefined; // hangs
    await problem('timeout');
    // For ever more bytes: only so many are read.
    answer = (response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
        response.once('drain', more);
      };
      more();
    };
    await problem('more than');
    answer = (response) => response.end(city.bundle([gateway.info.did], Date.now()));
    await until(async () => (await held(gateway)).bundle?.source === 'url', 'taken');
    answer = (response) => response.end(city.bundle([gateway.info.did], Date.now(), { version: 1 }));
    const before = asked;
    await until(() => asked > before + 1, 'asked again');
    await gateway.finish();
  });
});
