import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { edge } from '../support/cli.ts';
import { connectMqtt, startTestGateway, TestDevice } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

const HEAD = 'kind,sub,did,label,owner,capacityW,energySource';
const HELD = 'meter,urn:sejong:mp:held,,"hall, left",,,';

describe('enroll --csv', () => {
  it('enrols each line, with secrets in the report alone; a dry run does nothing; the same file again keeps what is there', async () => {
    const gateway = await startTestGateway();
    const folder = tempFolder();
    const data = ['--data', gateway.config.dataFolder];
    const [a, b] = [new TestDevice('csv-a'), new TestDevice('csv-b', 'plant', 'P-256')];
    const file = join(folder, 'devices.csv');
    writeFileSync(
      file,
      `\ufeff${HEAD}\r\nmeter,${a.sub},${a.did},"a ""b""",,,\r\n\r\nplant,${b.sub},${b.did},,city,5000,solar\r\n${HELD}\r\n`,
    );
    const count = async () => ((await gateway.api('/devices')).body as { devices: unknown[] }).devices.length;
    const csv = (...args: string[]) => edge(['enroll', '--csv', file, ...args, ...data]);
    expect((await csv()).stderr).toMatch(/^USAGE: .*--report FILE/);
    const dry = await csv('--dry-run');
    expect([dry.code, dry.stdout]).toEqual([0, 'lines     3: 3 would enrol\n']);
    expect(await count()).toBe(1);

    const report = join(folder, 'report.csv');
    const done = await csv('--report', report);
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(done.stdout).toMatch(/^lines {5}3: 3 enrolled$/m);
    expect(await count()).toBe(4);
    expect(statSync(report).mode & 0o777).toBe(0o600);
    const rows = readFileSync(report, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(','));
    expect(rows.map((row) => [row[0], row[3]])).toEqual([
      ['line', 'result'],
      ['2', 'enrolled'],
      ['4', 'enrolled'],
      ['5', 'enrolled'],
    ]);
    const [, did, , , secret] = rows[3] as string[];
    expect(done.stdout + done.stderr).not.toContain(secret);
    await (await connectMqtt(gateway, did as string, secret as string)).endAsync();
    expect((await gateway.api(`/devices/${b.did}`)).body).toMatchObject({
      owner: 'city',
      capacityW: 5000,
      energySource: 'solar',
    });
    expect((await gateway.api(`/devices/${a.did}`)).body).toMatchObject({ label: 'a "b"' });

    expect((await csv('--report', report)).stderr).toMatch(/is there already/);
    const again = await csv('--report', join(folder, 'again.csv'));
    expect([again.code, again.stdout.split('\n')[0]]).toEqual([0, 'lines     3: 3 kept']);
    expect(await count()).toBe(4);
    expect((await gateway.finish()).audits.map(({ action }) => action)).toEqual(Array(3).fill('device.enrol'));
  });

  it('says of each line that is wrong why, by its number, and then enrols none', async () => {
    const gateway = await startTestGateway();
    const folder = tempFolder();
    const file = join(folder, 'devices.csv');
    const device = await new TestDevice('csv-known').enrol(gateway);
    const good = new TestDevice('csv-good');
    const lines: [string, RegExp | undefined][] = [
      [`meter,${good.sub},${good.did},,,,`, undefined],
      ['boat,urn:sejong:mp:1,,,,,', /kind "boat" is none of/],
      ['meter,mp:1,,,,,', /sub "mp:1" is not a URN/],
      ['meter,urn:sejong:mp:1,did:key:z6Mkx,,,,', /./],
      ['meter,urn:sejong:mp:1,,,,1.5,', /capacityW "1.5" is not whole watts/],
      [`meter,urn:sejong:mp:1,,${'x'.repeat(257)},,,`, /label has more than 256/],
      [`meter,${good.sub},${good.did},,,,`, /is on line 2 already/],
      [`sensor,${device.sub},${device.did},,,,`, /is enrolled already, as meter/],
    ];
    writeFileSync(file, [HEAD, ...lines.map(([text]) => text)].join('\n'));
    const csv = (...args: string[]) => edge(['enroll', '--csv', file, ...args, '--data', gateway.config.dataFolder]);
    const report = join(folder, 'report.csv');
    const { code, stdout, stderr } = await csv('--report', report);
    expect([code, stdout]).toEqual([1, 'lines     8: 7 are wrong, so nothing was enrolled\n']);
    const said = stderr.trimEnd().split('\n');
    const expected = lines.flatMap(([, why], i) => (why ? [[`${file}:${i + 2}: `, why] as const] : []));
    expect(said).toHaveLength(expected.length);
    for (const [i, [where, why]] of expected.entries()) {
      expect(said[i]?.slice(0, where.length)).toBe(where);
      expect(said[i]).toMatch(why);
    }
    expect(readFileSync(report, 'utf8').match(/,failed,/g)).toHaveLength(7);
    expect((await gateway.api(`/devices/${good.did}`)).status).toBe(404);

    for (const [text, why] of [
      ['', /there is no column kind|CSV_INVALID/],
      ['kind,subject\n', /column "subject" is none of/],
      ['kind\n', /there is no column sub/],
      ['kind,sub,sub\n', /twice/],
      [`${HEAD}\nmeter,urn:x\n`, /Invalid Record Length|length/i],
      [`${HEAD}\n"meter,urn:x,,,,,\n`, /Quote/],
      [`${HEAD}\nmeter,urn:${'x'.repeat(9000)},,,,,\n`, /CSV_INVALID/],
    ] as const) {
      writeFileSync(file, text);
      const answer = await csv('--dry-run');
      if (text === '') expect(answer).toMatchObject({ code: 0, stdout: 'lines     0: nothing to do\n' });
      else expect(answer, text.slice(0, 60)).toMatchObject({ code: 2, stderr: expect.stringMatching(why) });
    }
    chmodSync(file, 0o600);
    await gateway.finish();
  });
});
