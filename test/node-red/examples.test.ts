/** Each example flow as it is shipped, in one real Node-RED, beside one real gateway with real devices. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Config } from '../../edge/config.ts';
import { Link, offerBundle } from '../checks/gateway.ts';
import { NORTH, TestCity, TestVehicle } from '../checks/rig.ts';
import { shared } from '../console/shared.ts';
import { START, startMinting, TestPlant } from '../credits/rig-gateway.ts';
import { ROOT } from '../support/cli.ts';
import { onTestFinished } from '../support/ends.ts';
import { TestDevice } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import { type FlowNode, Sidebar, startFlows } from './rig.ts';

const EXAMPLES = join(ROOT, 'flows', 'examples');
const files = readdirSync(EXAMPLES).sort();
const nodesOf = (file: string): FlowNode[] => JSON.parse(readFileSync(join(EXAMPLES, file), 'utf8')) as FlowNode[];
const HOUR = 3600;
/** Of Korean time. */
const DAY = new Date((START + 9 * HOUR) * 1000).toISOString().slice(0, 10);

const rig = shared(async () => {
  const city = new TestCity();
  const gateway = await startMinting({
    checks: {
      cityDid: city.did,
      gates: [{ ...NORTH, name: 'gate-1', purposes: ['passage'] }] as Config['checks']['gates'],
    },
    alarms: { healthSeconds: 0.1, silentSeconds: 1 },
  });
  const { status, text } = await offerBundle(
    gateway,
    city.bundle([gateway.info.did], Date.now(), { policy: { zones: { depot: { purposes: ['passage'] } } } }),
  );
  if (status !== 200) throw new Error(text);
  const flows = await startFlows(gateway, { nice: 0 }, onTestFinished);
  const sidebar = await Sidebar.open(flows.url(), await flows.session(), onTestFinished);
  return {
    city,
    gateway,
    flows,
    sidebar,
    page: (path: string, init?: RequestInit) => fetch(new URL(path, flows.url()), init),
  };
});

it('the first start loads them all, explained in English and Korean, and the editor offers them for import', async () => {
  const { flows } = rig();
  expect(files).toHaveLength(6);
  const loaded = (await (await flows.admin('/flows')).json()) as FlowNode[];
  for (const file of files) {
    const nodes = nodesOf(file);
    expect(loaded).toEqual(expect.arrayContaining(nodes));
    const [tab, ...more] = nodes.filter(({ type }) => type === 'tab');
    expect([tab?.type, more], file).toEqual(['tab', []]);
    const info = nodes.find(({ type }) => type === 'comment')?.info;
    expect(info, file).toMatch(/[a-z]{4,}[\s\S]*[가-힣]{4,}/);
    // Ids are its own, but for the one gateway that they share.
    const others = files.filter((f) => f !== file).flatMap(nodesOf);
    const both = nodes.filter(({ id }) => others.some((other) => other.id === id)).map(({ type }) => type);
    expect(both, file).toEqual(['edge-gateway']);
    for (const { wires = [] } of nodes as { wires?: string[][] }[])
      for (const to of wires.flat())
        expect(
          nodes.map(({ id }) => id),
          file,
        ).toContain(to);
  }
  const types = new Set(loaded.map(({ type }) => type));
  const known = (await (await flows.admin('/nodes', { headers: { accept: 'application/json' } })).json()) as {
    types: string[];
  }[];
  expect([...types].filter((type) => !['tab', ...known.flatMap((set) => set.types)].includes(type))).toEqual([]);
  const menu = await (await flows.admin('/library/examples/flows/node-red-contrib-sejong-edge')).json();
  expect(menu).toEqual(files.map((file) => ({ fn: file.replace(/\.json$/, '') })));
});

type Day = {
  day: string;
  wh: number;
  plants: { meteringPoint: string; wh: number }[];
  certificates: { state: string; hours: number; wh: number }[];
};

it('plant output and certificates of the day: registers subtracted, hours minted on the chain', async () => {
  const { gateway, flows, sidebar, page } = rig();
  const plant = await TestPlant.at(gateway, 'school-roof', { capacityW: 3000 });
  await plant.read([-1, 50_000], [0, 50_400], [1, 51_000], [2, 52_200]);
  let day: Day | undefined;
  await until(
    async () => {
      await flows.press('plants-ask', { day: DAY });
      day = sidebar
        .of<Day>('plants-day')
        .find(({ certificates }) => certificates.some((c) => c.state === 'minted' && c.hours === 3));
      return day !== undefined;
    },
    'three hours are minted',
    40_000,
  );
  expect(day).toMatchObject({ day: DAY, certificates: [{ state: 'minted', hours: 3, wh: 2200 }] });
  expect(day?.plants).toContainEqual({
    meteringPoint: plant.sub,
    wh: 2200,
    since: `${DAY.slice(5)} 11:00`,
    until: `${DAY.slice(5)} 14:00`,
  });
  // Today, and on the page that everybody may see.
  const now = Math.floor(Date.now() / 1000);
  await plant.send([plant.envelope({ iat: now, records: [{ n: '1-0:2.8.0', u: 'Wh', v: 52_900 }] })]);
  let html = '';
  await until(async () => {
    html = await (await page('/public/plants')).text();
    return html.includes(plant.sub);
  }, 'it is on the page');
  // Less the last register of the day before, unless that was today as well.
  expect(html).toMatch(/<strong>\d+ Wh<\/strong>/);
  expect(html).toContain(`<td>${plant.sub}</td><td class="n">700</td>`);
});

it('gate control: the barrier opens for an ALLOW and for nothing else, and closes again', async () => {
  const { city, gateway, flows, sidebar } = rig();
  const nodes = (await (await flows.admin('/flows')).json()) as FlowNode[];
  // As an engineer would: shorter than the ten seconds of the street.
  await flows.deploy(nodes.map((node) => (node.id === 'gate-pass' ? { ...node, duration: '1' } : node)));
  const comes = async (name: string, credential: object) => {
    const vehicle = new TestVehicle(city, name, Date.now(), { credential: { purposes: ['passage'], ...credential } });
    const link = await Link.open(gateway, vehicle);
    await flows.press('gate-here');
    const challenge = await link.hello('gate-1', 'passage');
    return link.present(vehicle.presentation(challenge, Date.now()).message);
  };
  const opened = (): number => sidebar.of<string>('gate-barrier').filter((said) => said === 'open').length;

  const now = Date.now();
  const { reason } = await comes('expired', { fromMs: now - 7_200_000, untilMs: now - 3_600_000 });
  expect(reason).toBe('EXPIRED');
  expect(await sidebar.next('gate-display')).toEqual({
    ...{ barrier: 'close', en: 'No passage', ko: '통과할 수 없습니다' },
    ...{ decision: 'DENY', reason: 'EXPIRED', guard: false },
  });
  expect(opened()).toBe(0);

  expect(await comes('good', {})).toMatchObject({ decision: 'ALLOW', reason: 'OK' });
  await sidebar.next<string>('gate-barrier', (said) => said === 'open');
  await until(() => sidebar.of<string>('gate-barrier').at(-1) === 'close', 'it closes again');
  expect(opened()).toBe(1);
});

it('missing-meter alarm: a meter that falls silent is told by its name, and so is its next word', async () => {
  const { gateway, sidebar } = rig();
  const meter = await new TestDevice('falls-silent').enrol(gateway);
  const client = await meter.connect(gateway);
  for (let i = 0; i < 4; i++) await meter.publish(client, meter.envelope());
  type Told = { meteringPoint: string; raised: boolean; en: string; ko: string };
  const told = (raised: boolean) =>
    sidebar.next<Told>('missing-tell', (said) => said.meteringPoint === meter.sub && said.raised === raised);
  const { en, ko } = await told(true);
  expect(en).toMatch(new RegExp(`^${meter.sub} \\(meter\\) has been silent since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d$`));
  expect(ko).toContain('무응답');
  await meter.publish(client, meter.envelope());
  expect((await told(false)).en).toBe(`${meter.sub} (meter) speaks again`);
});

it('feed-in against the revenue meter: a quarter in which they part is told, with both numbers', async () => {
  const { gateway, sidebar } = rig();
  const meter = await TestPlant.at(gateway, 'feed', { capacityW: 50_000 });
  const inverter = await TestPlant.at(gateway, 'feed-inverter', { kind: 'inverter', sub: meter.sub });
  let quarter = -40;
  const wh = { meter: 10_000, inverter: 70_000 };
  const next = async (meterWh: number, inverterWh: number): Promise<void> => {
    quarter++;
    wh.meter += meterWh;
    wh.inverter += inverterWh;
    await meter.read([quarter / 4, wh.meter]);
    await inverter.read([quarter / 4, wh.inverter]);
  };
  // The flow begins with what comes from its start on, so quarters are sent until it has seen one whole.
  await until(async () => {
    await next(1000, 1010);
    return sidebar.of('feed-agrees').length > 0;
  }, 'a quarter is compared');
  await next(800, 1010);
  expect(await sidebar.next('feed-deviates')).toMatchObject({
    ...{ meteringPoint: meter.sub, meterWh: 800, inverterWh: 1010, apartWh: 210, percent: 20.8 },
    ...{ to: new Date((START + (quarter / 4) * HOUR) * 1000).toISOString() },
  });
  expect(sidebar.of('feed-agrees')).toContainEqual(
    expect.objectContaining({ meteringPoint: meter.sub, meterWh: 1000, inverterWh: 1010, percent: 1 }),
  );
});

it('living-alone care: only who asked, only a grade, and a person decides under the own name', async () => {
  const { gateway, flows, sidebar, page } = rig();
  // 61 days of somebody whose last day is quieter than any before, and of a neighbour who did not ask.
  const newest = Math.floor(Date.now() / 1000 / HOUR) * HOUR;
  const [alone, neighbour] = await Promise.all(
    ['alone', 'neighbour'].map((name) => new TestDevice(name).enrol(gateway)),
  );
  for (const meter of [alone, neighbour] as TestDevice[]) {
    const client = await meter.connect(gateway);
    const sent: Promise<unknown>[] = [];
    for (let i = 0, register = 1_000_000; i <= 61 * 24; i++) {
      register += i > 60 * 24 ? 41 : i % 24 >= 15 && i % 24 < 22 ? 40 : 200 + ((i * 7919) % 300);
      const iat = newest - (61 * 24 - i) * HOUR - 20;
      sent.push(meter.publish(client, meter.envelope({ iat, records: meter.records(register) })));
    }
    await Promise.all(sent);
  }
  const { did, sub } = alone as TestDevice;
  await flows.press('care-each');
  const consent = 'herself, on paper, welfare office of Jochiwon';
  expect((await gateway.api('/care', { method: 'POST', body: { did, consent } })).status).toBe(201);
  await flows.press('care-each');
  // All that is told: who, how far from the own days, and the code of why.
  expect(await sidebar.next('care-tell')).toEqual({ who: sub, grade: 'very-unusual', reason: 'quiet-for-long' });

  const form = async (path: string, fields: Record<string, string>) => {
    const answer = await page(path, { method: 'POST', body: new URLSearchParams(fields) });
    return { status: answer.status, store: answer.headers.get('cache-control'), text: await answer.text() };
  };
  // Nothing without a token of the officer's own; and an engineer's, as the flow has one, decides nothing.
  expect(await (await page('/public/care')).text()).not.toContain(sub);
  const nobody = await form('/public/care', { token: 'guessed' });
  expect([nobody.status, nobody.text.includes(sub)]).toEqual([403, false]);
  const engineer = await gateway.token('engineer');
  await form('/public/care-decision', { token: engineer, did, decision: 'none' });
  const care = async () =>
    (await gateway.api('/care')).body as { subjects: { did: string; decision: object | null }[] };
  expect((await care()).subjects).toMatchObject([{ did, decision: null }]);

  const officer = await gateway.token('operator');
  const list = await form('/public/care', { token: officer });
  expect([list.status, list.store]).toEqual([200, 'no-store']);
  expect(list.text).toContain(`<td>${sub}</td><td>very-unusual</td><td>quiet-for-long</td>`);
  expect(list.text).not.toContain((neighbour as TestDevice).sub);
  const decided = await form('/public/care-decision', {
    token: officer,
    did,
    decision: 'visit',
    note: 'Ms Kim <goes> there',
  });
  expect(decided.text).toMatch(/visit, test operator, [-\d: ]+ Ms Kim &lt;goes&gt; there/);
  expect((await care()).subjects).toMatchObject([
    { did, decision: { decision: 'visit', by: 'test operator', note: 'Ms Kim <goes> there', grade: 'very-unusual' } },
  ]);
  // Told once; and not again when somebody has decided.
  await flows.press('care-each');
  expect(sidebar.of('care-tell')).toHaveLength(1);
  // No token, and no word of the officer's, in what Node-RED keeps or says.
  const said = [...flows.lines, JSON.stringify(sidebar.all)].join('\n');
  for (const token of [officer, engineer]) expect(said).not.toContain(token);
});

it('donation kiosks: sums for everybody, and nothing else', async () => {
  const { gateway, sidebar, page } = rig();
  const kiosks = await Promise.all(
    ['hall', 'station'].map((name) => new TestDevice(name, 'donation-kiosk').enrol(gateway)),
  );
  const iat = Math.floor(Date.now() / 1000);
  for (const [i, kiosk] of kiosks.entries()) {
    const client = await kiosk.connect(gateway);
    for (const [at, count, won] of [
      [-60, 3, 15_000],
      [0, 1204 + i, 3_000_000],
    ] as const)
      await kiosk.publish(
        client,
        kiosk.envelope({
          iat: iat + at,
          records: [
            { n: 'donations.count', u: 'count', v: count },
            { n: 'donations.total', u: 'KRW', v: won },
            { n: 'donations.campaign', vs: 'Kim Young-hee' },
          ],
        }),
      );
  }
  await sidebar.next('kiosk-sums', ({ count }: { count: number }) => count === 2409);
  const answer = await page('/public/donations');
  expect(answer.headers.get('content-security-policy')).toMatch(/^sandbox\b/);
  const html = await answer.text();
  expect(html).toMatch(/<strong>2,409<\/strong>건[\s\S]*<strong>6,000,000<\/strong>원[\s\S]*키오스크 2대/);
  for (const kiosk of kiosks)
    for (const secret of [kiosk.did, kiosk.sub, 'Kim', String(iat)]) expect(html).not.toContain(secret);
});
