import { expect, it } from 'vitest';
import { Sessions } from '../../edge/checks/sessions.ts';
import { NORTH } from './rig.ts';

const wanted = { holder: 'did:key:z6MkA', gate: NORTH, purpose: 'entry' };
const LIFE = 10_000;

it('each challenge has a nonce and a name of its own, and is consumed once', () => {
  const sessions = new Sessions(100);
  const all = Array.from({ length: 100 }, () => sessions.open(wanted, 0, LIFE));
  expect(new Set(all.map((s) => s?.nonce)).size).toBe(100);
  for (const s of all) {
    expect(s && sessions.get(s.id)).toBe(s);
    expect(s && [sessions.consume(s), sessions.consume(s)]).toEqual([true, false]);
  }
});

it('no more are open than may be; what is used or over makes room, the oldest first', () => {
  const sessions = new Sessions(2);
  const first = sessions.open(wanted, 0, LIFE);
  const second = sessions.open(wanted, 1, LIFE);
  expect(sessions.open(wanted, 2, LIFE)).toBeUndefined();
  if (first) sessions.consume(first);
  expect(sessions.open(wanted, 3, LIFE)).toBeDefined();
  expect(first && sessions.get(first.id)).toBeUndefined();
  expect(second && sessions.get(second.id)).toBeDefined();
  expect(sessions.open(wanted, LIFE, LIFE)).toBeUndefined();
  expect(sessions.open(wanted, LIFE + 1, LIFE)).toBeDefined();
  expect(sessions.size).toBe(2);
});

it('what is over is remembered for a minute, to say that it is over, and then no more', () => {
  const sessions = new Sessions(100);
  const old = sessions.open(wanted, 0, LIFE);
  sessions.open(wanted, LIFE + 59_999, LIFE);
  expect(old && sessions.get(old.id)).toBe(old);
  sessions.open(wanted, LIFE + 60_000, LIFE);
  expect(old && sessions.get(old.id)).toBeUndefined();
});
