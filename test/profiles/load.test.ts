import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DRIVERS } from '../../edge/drivers/drivers.ts';
import { EdgeError } from '../../edge/errors.ts';
import { checkProfileFile, loadProfiles } from '../../edge/profiles/load.ts';
import { tempFolder } from '../support/temp.ts';

const folderOf = (files: Record<string, string>): string => {
  const folder = join(tempFolder(), 'profiles');
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
};
const refusal = (files: Record<string, string>): string => {
  try {
    loadProfiles(folderOf(files));
  } catch (error) {
    expect(error).toBeInstanceOf(EdgeError);
    expect((error as EdgeError).code).toBe('PROFILE_INVALID');
    return (error as EdgeError).detail;
  }
  throw new Error('nothing was refused');
};

it('what comes with the gateway is valid, and has the kinds that were always there, as they were', () => {
  const profiles = loadProfiles();
  const old = { meter: '1-0:1.8.0', plant: '1-0:2.8.0', storage: '1-0:2.8.0', inverter: '1-0:2.8.0' };
  expect(profiles.kinds()).toEqual(expect.arrayContaining([...Object.keys(old), 'sensor', 'vehicle']));
  for (const [kind, billed] of Object.entries(old)) expect(profiles.billedOf(kind)).toBe(billed);
  expect(profiles.billedOf('vehicle')).toBeUndefined();
  const six = ['meter', 'plant', 'storage', 'inverter', 'vehicle', 'sensor'];
  expect(six.filter((kind) => profiles.isSealed(kind))).toEqual(['meter', 'vehicle']);
  expect(six.filter((kind) => profiles.mayThin(kind))).toEqual(['vehicle']);
  for (const { driver, title } of profiles.list()) {
    if (driver !== undefined) expect(Object.keys(DRIVERS)).toContain(driver);
    expect(title).not.toBe('');
  }
});

it('a kind of an own folder needs no code', () => {
  const folder = folderOf({
    'water-meter.yaml': 'title: Water\nprivacy: sealed\nvalues: [{ name: volume, unit: m3, range: [0, 1e6] }]\n',
    'README.txt': 'no profile',
  });
  const profiles = loadProfiles(folder);
  expect(profiles.kinds()).toContain('water-meter');
  expect(profiles.isSealed('water-meter')).toBe(true);
  profiles.check('water-meter', [{ n: 'volume', u: 'm3', v: 12.5 }]);
  expect(() => profiles.check('water-meter', [{ n: 'volume', u: 'm3', v: -1 }])).toThrow(
    'volume is -1 m3, and its range is 0 to 1000000',
  );
});

describe('what is wrong is named by file, line and key:', () => {
  const kind = 'title: Water\nprivacy: public\n';
  const cases: [string, string, string][] = [
    ['a key that is none', `${kind}valeus: []\n`, 'x.yaml:3: valeus is not a key of a profile (did you mean values?)'],
    ['a key that is missing', 'privacy: public\n', 'x.yaml: the whole needs title'],
    ['a wrong word', 'title: a\nprivacy: secret\n', 'x.yaml:2: privacy must be one of public, sealed'],
    ['a kind of no privacy', 'title: a\n', 'privacy is needed of a kind: public or sealed'],
    ['no YAML', 'title: [\n', 'x.yaml: Flow sequence'],
    ['a key twice', `${kind}title: b\n`, 'x.yaml: Map keys must be unique at line 3'],
    ['no such driver', `${kind}driver: modbsu\n`, 'x.yaml:3: driver modbsu is no driver'],
    [
      'a kind that is none',
      'title: a\nkind: meetr\n',
      'x.yaml:2: kind is meetr, which is no kind (did you mean meter?)',
    ],
    [
      'a meter in the open',
      'title: a\nkind: meter\nprivacy: public\n',
      'x.yaml:3: privacy is public, but that of kind meter is sealed',
    ],
    [
      'a meter without its register',
      'title: a\nkind: meter\nvalues:\n  - name: volts\n    unit: V\n',
      'x.yaml:3: values has no 1-0:1.8.0, without which there is no reading of a meter',
    ],
    [
      'a register in another unit',
      "title: a\nkind: meter\nvalues:\n  - { name: '1-0:1.8.0', unit: kWh }\n",
      'x.yaml:4: values.0 is a number in kWh; of kind meter 1-0:1.8.0 is a number in Wh, billed',
    ],
    [
      'a range the wrong way round',
      `${kind}values: [{ name: a, range: [2, 1] }]\n`,
      'x.yaml:3: values.0.range begins at 2 and ends at 1',
    ],
    ['half a range', `${kind}values:\n  - name: a\n    range: [2]\n`, 'x.yaml:5: values.0.range.1 must be number'],
    [
      'a range of text',
      `${kind}values: [{ name: a, type: string, range: [1, 2] }]\n`,
      'values.0.range is for a number, not for a string',
    ],
    [
      'a value twice',
      `${kind}values:\n  - name: a\n  - name: a\n`,
      'x.yaml:5: values.1.name is a, which is there already',
    ],
    [
      'a value that is the gateway’s own word',
      `${kind}values: [{ name: quality, type: string }]\n`,
      'values.0.name is quality, which the gateway writes itself',
    ],
    [
      'a scale of nothing',
      `${kind}values: [{ name: a, scale: 0 }]\n`,
      'values.0.scale is 0, which leaves nothing of a',
    ],
    [
      'a line without a driver',
      `${kind}line: { baudRate: 9600 }\n`,
      'x.yaml:3: line is for a driver, and this profile names none',
    ],
    [
      'a billed register in kWh',
      `${kind}values: [{ name: a, unit: kWh, billed: true }]\n`,
      'values.0.billed needs a number in Wh',
    ],
  ];
  for (const [what, text, says] of cases) it(what, () => expect(refusal({ 'x.yaml': text })).toContain(says));

  it('several files at once, names that are taken, names that are none', () => {
    const said = refusal({ 'x.yaml': 'privacy: public\n', 'y.yaml': 'title: 3\nprivacy: public\n' });
    expect(said).toContain('x.yaml: the whole needs title; ');
    expect(said).toContain('y.yaml:1: title must be string');
    expect(refusal({ 'meter.yaml': kind })).toContain('there is a profile meter already');
    expect(refusal({ 'Big.yaml': kind })).toContain('a profile is called by its file');
    expect(refusal({ 'gateway.yaml': kind })).toContain('not gateway');
    expect(() => loadProfiles('/no/such/folder')).toThrow('/no/such/folder');
  });

  it('a chain of kinds, and an alias that names a thousand others', () => {
    expect(refusal({ 'x.yaml': 'title: a\nkind: y\n', 'y.yaml': 'title: a\nkind: meter\n' })).toContain(
      'kind is y, which is no kind',
    );
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      ...'bcdefg'.split('').map((c, i) => `${c}: &${c} [${`*${'abcdef'[i]},`.repeat(10)}]`),
    ];
    expect(refusal({ 'x.yaml': `${bomb.join('\n')}\n` })).toMatch(/x\.yaml: .*alias/);
  });
});

it('a file is checked as it would be beside the others, also where it is one of them', () => {
  const folder = folderOf({ 'x.yaml': 'title: a\nprivacy: public\n' });
  expect(checkProfileFile(join(folder, 'x.yaml'), folder)).toMatchObject({ name: 'x', kind: 'x', custody: 'either' });
  expect(checkProfileFile(join(folder, 'x.yaml')).name).toBe('x');
  expect(checkProfileFile('edge/profiles/meter.yaml').privacy).toBe('sealed');
});

it('what a driver cannot be made of is said of the file, too', () => {
  const text = `title: a
privacy: public
driver: modbus
settings: { function: 4 }
values:
  - { name: state, unit: V, from: { register: 65535, type: uint32 } }
`;
  expect(refusal({ 'x.yaml': text })).toContain('x.yaml:5: values do not fit together: state: ');
});
