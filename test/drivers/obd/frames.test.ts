/**
 * Answers that others have written down: the ELM327 data sheet ("Multiline Responses"), and what a reference adapter
 * answered in the adapter tests of the panda project (MIT). Facts of the protocol, not this project's reading of it.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import { ElmParser, identity, wordIn } from '../../../edge/drivers/obd/elm.ts';
import { crcJ1850, type Layout, layoutOf, messages } from '../../../edge/drivers/obd/frames.ts';
import { checkDigit, doubtOf } from '../../../edge/drivers/obd/vin.ts';
import { GOOD_VIN, SHEET_VIN } from './rig.ts';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const told = (command: string, heard: string) => new ElmParser(command).push(Buffer.from(heard, 'latin1'));

describe('recorded answers', () => {
  it.each<[Layout, string]>([
    ['plain', '014 \r0: 49 02 01 31 44 34 \r1: 47 50 30 30 52 35 35 \r2: 42 31 32 33 34 35 36 \r\r>'],
    ['plain', '014\r0:490201314434\r1:47503030523535\r2:42313233343536\r\r>'],
    ['can11', '7E81014490201314434\r7E82147503030523535\r7E82242313233343536\r\r>'],
    ['can11', '7E8 10 14 49 02 01 31 44 34 \r7E8 21 47 50 30 30 52 35 35 \r7E8 22 42 31 32 33 34 35 36 \r\r>'],
  ])('a VIN over CAN, %s: %j', (layout, heard) => {
    const [message, ...more] = messages(told('0902', heard)!.lines, layout);
    expect(more).toEqual([]);
    expect(hex(message!.data.subarray(0, 3))).toBe('490201');
    expect(text(message!.data.subarray(3))).toBe(SHEET_VIN);
  });

  it.each<[Layout, string]>([
    [
      'sum',
      '87 F1 10 49 02 01 00 00 00 31 05 \r87 F1 10 49 02 02 44 34 47 50 E4 \r87 F1 10 49 02 03 30 30 52 35 BD \r87 F1 10 49 02 04 35 42 31 32 B1 \r87 F1 10 49 02 05 33 34 35 36 AA \r\r>',
    ],
    ['plain', 'BUS INIT: OK\r49020100000031\r49020244344750\r49020330305235\r49020435423132\r49020533343536\r\r>'],
  ])('a VIN over a K-line, %s', (layout, heard) => {
    const parts = messages(told('0902', heard)!.lines, layout);
    expect(parts.map(({ data }) => data[2])).toEqual([1, 2, 3, 4, 5]);
    expect(text(Buffer.concat(parts.map(({ data }) => data.subarray(3)))).replaceAll('\0', '')).toBe(SHEET_VIN);
  });

  it.each<[Layout, string, string]>([
    ['can11', 'SEARCHING...\r7E8064100FFFFFFFE\r\r>', '7E8'],
    ['can29', 'SEARCHING...\r18DAF110064100FFFFFFFE\r\r>', '18DAF110'],
    ['sum', '86F1104100FFFFFFFEC3\r\r>', '10'],
    // ISO 9141-2, as a client library has it in its notes.
    ['sum', '48 6B 10 41 00 B8 7B 30 10 77\r\r>', '10'],
    ['plain', 'SEARCHING...\r41 00 FF FF FF FE \r\r>', ''],
  ])('%s is told from %j', (layout, heard, ecu) => {
    const { lines } = told('0100', heard)!;
    expect(layoutOf(lines)).toBe(layout);
    expect(messages(lines, layout)[0]!.ecu).toBe(ecu);
  });

  it('two control units, one after the other', () => {
    expect(messages(['7E8 03 41 0D 53', '7E9 03 41 0D FA'], 'can11').map(({ ecu, data }) => [ecu, hex(data)])).toEqual([
      ['7E8', '410d53'],
      ['7E9', '410dfa'],
    ]);
  });

  it('J1850 has the check value of its catalogue entry (CRC-8/SAE-J1850)', () => {
    expect(crcJ1850(Buffer.from('123456789'))).toBe(0x4b);
  });
});

describe('form', () => {
  it.each<[string, Layout, string[]]>([
    ['a frame lost', 'can11', ['7E81014490201314434', '7E82242313233343536']],
    ['the end lost', 'can11', ['7E81014490201314434', '7E82147503030523535']],
    ['a frame twice', 'can11', ['7E81014490201314434', '7E82147503030523535', '7E82147503030523535']],
    ['no first frame', 'can11', ['7E82147503030523535']],
    ['a digit lost', 'can11', ['7E803410D5']],
    ['a digit more', 'can11', ['7E803410D533']],
    ['lower case', 'can11', ['7E803410d53']],
    ['no control unit', 'can11', ['7D803410D53']],
    ['a single frame of nothing', 'can11', ['7E80041']],
    ['a frame of 9 bytes', 'can11', ['7E803410D53AAAAAAAAAA']],
    ['a wrong checksum', 'sum', ['83F110410D5324']],
    ['a wrong count', 'sum', ['84F110410D5326']],
    ['a number left out', 'plain', ['014', '0:490201314434', '2:42313233343536']],
    ['two long answers', 'plain', ['014', '014', '0:490201314434', '0:490201314434']],
    ['a short line', 'plain', ['014', '0:4902013144', '1:47503030523535', '2:42313233343536']],
    ['nothing', 'plain', []],
  ])('%s is damage', (_, layout, lines) => {
    expect(() => messages(lines, layout)).toThrow(SerialFault);
  });

  it('a prompt ends an answer only at the start of a line, NULs count for nothing, echo is no answer', () => {
    expect(told('010D', '7E803>410D53\r')).toBeUndefined();
    expect(told('010D', '>\r>410D53\r\r>')!.lines).toEqual(['410D53']);
    expect(told('010D', '4\u000010D\u000053\r\u0000\r>')!.lines).toEqual(['410D53']);
    expect(told('010D', '01 0D\r410D53\r\r>')).toEqual({ lines: ['410D53'], echoed: true });
    const parser = new ElmParser('0100');
    parser.push(Buffer.from('0100\rSEARCHING...'));
    expect(parser.begun).toBe(false);
    parser.push(Buffer.from('\rUN'));
    expect(parser.begun).toBe(true);
  });

  it('names are told from words and noise', () => {
    expect(identity({ lines: ['ELM327 v1.5'], echoed: false })).toBe('ELM327 v1.5');
    for (const line of ['?', 'OK', 'NO DATA', 'BUS INIT: ...ERROR', 'ELM\ufffd27'])
      expect(identity({ lines: [line], echoed: false })).toBeUndefined();
    expect(wordIn({ lines: ['48 6B 10 41 0D 32 <DATA ERROR'], echoed: false })?.means).toBe('again');
  });

  it('no bytes crash it, and all that is taken is in form', () => {
    const layouts: Layout[] = ['can11', 'can29', 'sum', 'crc', 'plain'];
    const line = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'0123456789ABCDEF: ><7E8'), maxLength: 24 }),
      fc.constantFrom('014', '0:490201314434', '7E803410D53', '7E81014490201314434', 'SEARCHING...', 'BUFFER FULL'),
    );
    const seen = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.array(line, { maxLength: 6 }).map((lines) => Buffer.from(`${lines.join('\r')}\r\r>`, 'latin1')),
    );
    fc.assert(
      fc.property(seen, fc.constantFrom(...layouts), (bytes, layout) => {
        const answer = new ElmParser('010D').push(bytes);
        if (answer === undefined || wordIn(answer) !== undefined) return;
        try {
          for (const { data } of messages(answer.lines, layout)) expect(data.length).toBeGreaterThan(0);
        } catch (error) {
          expect((error as SerialFault).kind).toBe('corrupt');
        }
      }),
      { seed: 3, numRuns: 5000 },
    );
    const flood = new ElmParser('010D');
    expect(() => flood.push(new Uint8Array(5000).fill(0x41))).toThrow('no prompt');
  });
});

it('check digits: 49 CFR 565 and its customary examples', () => {
  expect(checkDigit(GOOD_VIN)).toBe('X');
  expect(checkDigit('11111111111111111')).toBe('1');
  expect(doubtOf(GOOD_VIN)).toBeUndefined();
  expect(doubtOf(SHEET_VIN)).toContain('check digit');
  expect(doubtOf(`K${SHEET_VIN.slice(1)}`)).toBeUndefined();
});
