/** What a restart costs a flow: nothing of Node-RED's, nothing of the gateway's, and what was told as done never again. */
import { expect, it } from 'vitest';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import { type FlowNode, injects, installed, NodeRed, type Said, writes } from './rig.ts';

const indexOf = ({ msg }: Said): number => (msg as unknown as { index: number }).index;

function flow(gateway: TestGateway, folder: string, token: string): FlowNode[] {
  const from = { gateway: 'gw', kind: 'meter', from: 'stopped', first: 'start' };
  return [
    { id: 'gw', type: 'edge-gateway', auth: 'token', url: gateway.info.http, credentials: { token } },
    // What is written is confirmed; and what was confirmed, on disk, is written down by a complete node.
    ...writes(folder, 'flow', { file: 'flow', to: ['gate'] }),
    { id: 'told', type: 'edge-readings-in', ...from, ack: 'flow', max: '40', wires: [['flow']] },
    // Closed by hand, so that some are told and not confirmed.
    {
      ...{ id: 'gate', type: 'function', outputs: 1, wires: [['told']] },
      func: 'return flow.get("closed") ? null : { index: msg.index };',
    },
    injects('close', 'closing'),
    { id: 'closing', type: 'function', func: 'flow.set("closed", msg.payload);', outputs: 0, wires: [] },
    { id: 'complete', type: 'complete', scope: ['told'], wires: [['confirmed']] },
    ...writes(folder, 'confirmed', { file: 'confirmed' }),
    ...writes(folder, 'auto', { file: 'auto' }),
    { id: 'handed', type: 'edge-readings-in', ...from, ack: 'auto', wires: [['auto']] },
  ];
}

it('a flow misses nothing, over a kill of Node-RED and a restart of the gateway', { timeout: 120_000 }, async ({
  skip,
}) => {
  const folder = await installed();
  if (!folder) return skip();
  const first = await startTestGateway();
  const device = await new TestDevice('restarts').enrol(first);
  const client = await device.connect(first);
  const sent: number[] = [];
  const publish = async (gateway: TestGateway, n: number, by = client): Promise<void> => {
    for (let i = 0; i < n; i++) await device.publish(by, device.envelope());
    for (const { idx } of gateway.parts.entries.page(0, 10_000)) if (idx > 0 && !sent.includes(idx)) sent.push(idx);
  };
  const red = await NodeRed.start('node-red', folder);
  const told = (file: string): number[] => red.said(file).map(indexOf);
  const has = (file: string, indexes: readonly number[]) => {
    const there = new Set(told(file));
    return indexes.every((index) => there.has(index));
  };

  await publish(first, 100);
  await red.deploy(flow(first, red.folder, await first.token('viewer')));
  await until(() => has('flow', sent) && has('auto', sent) && has('confirmed', sent), 'all is told from the start');
  expect(told('flow'), 'each once, in the order of the log').toEqual(sent);
  expect(told('auto')).toEqual(sent);

  // Nobody confirms: no more than the cap waits, and the rest stays in the log.
  await red.inject('close', { payload: true });
  await publish(first, 100);
  await until(() => told('flow').length >= 140 && has('auto', sent), 'the cap is reached');
  expect(told('flow')).toEqual(sent.slice(0, 140));

  // Killed with forty that wait, while more come in.
  const confirmed = new Set(told('confirmed'));
  expect(confirmed.size).toBe(100);
  await red.down('SIGKILL');
  await publish(first, 50);
  await red.up();
  await until(() => has('flow', sent) && has('auto', sent), 'all is told');
  const after = told('flow').slice(140);
  expect(after, 'those that waited again, and then all others').toEqual(sent.slice(100));
  expect(
    after.filter((index) => confirmed.has(index)),
    'nothing that was confirmed',
  ).toEqual([]);
  await until(() => has('confirmed', sent), 'all is confirmed');

  // The gateway starts anew, on its address; a stop of Node-RED in good order repeats nothing at all.
  const before = [told('flow').length, told('auto').length];
  const { port } = new URL(first.info.http);
  await first.finish();
  const second = await startTestGateway({ dataFolder: first.config.dataFolder, http: { port: Number(port) } });
  const back = await device.connect(second);
  const known = sent.length;
  await publish(second, 30, back);
  await until(() => has('confirmed', sent) && has('auto', sent), 'what came after the restart is told');
  await red.down();
  await publish(second, 30, back);
  await red.up();
  await until(() => has('confirmed', sent) && has('auto', sent), 'what came while Node-RED was away is told');
  expect(told('flow').slice(before[0])).toEqual(sent.slice(known));
  expect(told('auto').slice(before[1])).toEqual(sent.slice(known));

  // A node that is taken out takes its place with it.
  const places = () => new Set(red.places());
  expect(places()).toEqual(new Set(['place-told.json', 'place-handed.json']));
  await red.deploy([]);
  await until(() => places().size === 0, 'no place is left');
  await second.finish();
});
