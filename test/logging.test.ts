/** Log lines: their part and code, a level for each part, and nothing that is to be kept secret. */
import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { makeConfig } from '../edge/config.ts';
import { EdgeError } from '../edge/errors.ts';
import { Logs } from '../edge/logging.ts';

function logs(logging: object = {}): { logs: Logs; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const to = new Writable({
    write: (chunk: Buffer, _, done) => {
      lines.push(JSON.parse(String(chunk)) as Record<string, unknown>);
      done();
    },
  });
  return { logs: new Logs(makeConfig({ logging }).logging, to), lines };
}

it('each line names its part, and its code where the table has it; the message stays whole', () => {
  const { logs: l, lines } = logs();
  l.report('mqtt: PACKET_INVALID: The MQTT packet is malformed', 'warn');
  l.report('mqtt.tls: a new certificate, valid until tomorrow');
  l.report(`anchor: ${new EdgeError('PORT_TAKEN', 'x').line}`, 'warn');
  l.report('serial /dev/ttyUSB0: away', 'warn');
  l.report('nobody: said this');
  l.report('NOT_IN_THE_TABLE: x');
  expect(lines.map(({ part, code, level }) => [part, code, level])).toEqual([
    ['mqtt', 'PACKET_INVALID', 40],
    ['mqtt', undefined, 30],
    ['chain', 'PORT_TAKEN', 40],
    ['serial', undefined, 40],
    ['gateway', undefined, 30],
    ['gateway', undefined, 30],
  ]);
  expect(lines[0]?.msg).toBe('mqtt: PACKET_INVALID: The MQTT packet is malformed');
  expect(lines[0]?.time).toMatch(/^\d{4}-\d\d-\d\dT/);
});

it('a part has the level that it was given, or that of all, and both change while it runs', () => {
  const { logs: l, lines } = logs({ level: 'warn', parts: { http: 'debug', mqtt: 'silent' } });
  const say = (): void => {
    for (const part of ['http', 'mqtt', 'store'])
      for (const level of ['debug', 'info', 'warn'] as const) l.report(`${part}: x`, level);
  };
  say();
  expect(lines.splice(0).map(({ part, level }) => `${part} ${level}`)).toEqual([
    'http 20',
    'http 30',
    'http 40',
    'store 40',
  ]);
  l.setLevels(makeConfig({ logging: { level: 'info', parts: { store: 'silent' } } }).logging);
  say();
  expect(lines.map(({ part, level }) => `${part} ${level}`)).toEqual(['http 30', 'http 40', 'mqtt 30', 'mqtt 40']);
});

it('tokens, what stands before the @ of a URL, and members with such names are hidden', () => {
  const { logs: l, lines } = logs();
  const token = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJraW0ifQ.c2lnbmF0dXJl';
  l.report(`mqtt: refused ${token} of kim`);
  l.report(`http: Authorization: Bearer abc.def-ghi`, 'warn');
  l.report('chain: https://user:hunter2@rpc.example/ does not answer', 'warn');
  l.of('gateway').info({ password: 'hunter2', token, deep: { passphrase: 'hunter2', secret: 'hunter2' } }, 'x');
  const text = JSON.stringify(lines);
  expect(text).not.toMatch(/hunter2|c2lnbmF0dXJl|abc\.def/);
  expect(text).toContain('[token] of kim');
  expect(text).toContain('rpc.example');
});
