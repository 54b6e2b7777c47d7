import { describe, expect, it } from 'vitest';
import { type Inward, inwardOf, isInward, type Login, maySubscribe } from '../../edge/intake/topics.ts';

const A = 'did:key:z6MkA';
const B = 'did:key:z6MkB';
const WHO: Record<string, Login | undefined> = {
  device: { kind: 'device', did: A },
  vehicle: { kind: 'vehicle', did: A },
  person: { kind: 'person', name: 'flow', person: { name: 'flow', role: 'viewer', id: '1', expiresMs: 0 } },
  nobody: undefined,
};

describe('topics', () => {
  it('are published by whom they belong to', () => {
    const table: [topic: string, what: Inward, who: string[]][] = [
      [`up/${A}/cose`, 'cose', ['device']],
      [`up/${A}/senml`, 'senml', ['device']],
      [`check/${A}/hello`, 'hello', ['device', 'vehicle']],
      [`check/${A}/presentation`, 'presentation', ['device', 'vehicle']],
    ];
    for (const [topic, what, who] of table)
      for (const [name, login] of Object.entries(WHO)) {
        expect(inwardOf(login, topic, true), `${name} ${topic}`).toBe(who.includes(name) ? what : undefined);
        expect(inwardOf(login, topic.replace(A, B), true), `${name}, another's`).toBeUndefined();
        if (topic.startsWith('check/')) expect(inwardOf(login, topic, false), 'no checks here').toBeUndefined();
        expect(isInward(topic)).toBe(true);
      }
    for (const topic of [`check/${A}/challenge`, `check/${A}/decision`, `down/${A}/error`, `live/meter/${A}`, '$SYS/x'])
      for (const login of Object.values(WHO)) {
        expect(inwardOf(login, topic, true), topic).toBeUndefined();
        expect(isInward(topic), topic).toBe(false);
      }
  });

  it('are read by whom they are for', () => {
    const table: [topic: string, who: string[]][] = [
      [`down/${A}/#`, ['device']],
      [`down/${A}/+`, ['device']],
      [`down/${A}/receipt`, ['device']],
      [`check/${A}/#`, ['device', 'vehicle']],
      [`check/${A}/challenge`, ['device', 'vehicle']],
      [`check/${A}/decision`, ['device', 'vehicle']],
      [`check/${A}/error`, ['device', 'vehicle']],
      ['live/#', ['person']],
      ['live/+/x', ['person']],
      [`check/${B}/#`, []],
      [`check/${A}/hello`, []],
      [`check/${A}/presentation`, []],
      ['check/#', []],
      ['check/+/decision', []],
      [`up/${A}/cose`, []],
      ['up/#', []],
      ['#', []],
      ['+/+/+', []],
      ['$SYS/#', []],
    ];
    for (const [topic, who] of table)
      for (const [name, login] of Object.entries(WHO)) {
        expect(maySubscribe(login, topic, true), `${name} ${topic}`).toBe(who.includes(name));
        if (topic.startsWith('check/')) expect(maySubscribe(login, topic, false), 'no checks here').toBe(false);
      }
  });
});
