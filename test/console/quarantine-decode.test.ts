import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRefused, dump, linesOf } from '../../edge/console/pages/quarantine-decode.ts';
import { TestDevice } from '../support/gateway.ts';

const device = new TestDevice('decoded');
const envelope = (): Uint8Array => device.envelope({ epoch: 3, seq: 7, iat: 1_790_000_123 });
const cbor = (bytes: Uint8Array) => {
  const decoded = decodeRefused(bytes);
  if (decoded.form !== 'cbor') throw new Error(decoded.form);
  return decoded;
};

describe('bytes from quarantine', () => {
  it('of an envelope say who, what, when, and all records', () => {
    const { facts, stop } = cbor(envelope());
    expect(stop).toBeUndefined();
    expect(facts).toEqual({
      ...{ alg: 'Ed25519 (-19)', iss: device.did, sub: device.sub, iat: 1_790_000_123, epoch: 3, seq: 7 },
      ...{ signatureBytes: 64, records: [{ n: '1-0:1.8.0', u: 'Wh', v: '1000', t: '' }] },
    });
  });

  it('are shown in diagnostic notation, with the offset of each item and the names of keys', () => {
    const { root } = cbor(envelope());
    const { lines, cut } = linesOf(root as NonNullable<typeof root>);
    expect(cut).toBe(false);
    const said = lines.map(({ depth, text, note }) => `${' '.repeat(depth)}${text}${note ? ` / ${note}` : ''}`);
    expect(said.slice(0, 9)).toEqual([
      '18([',
      ' <<',
      '  {',
      '   1: -19, / alg',
      '   3: 112, / content format',
      '   15: { / CWT claims',
      `    1: "${device.did}", / iss`,
      `    2: "${device.sub}", / sub`,
      '    6: 1790000123, / iat',
    ]);
    expect(said).toContain('    0: "1-0:1.8.0", / n');
    expect(said.at(-1)).toBe('])');
    const iss = lines.find(({ note }) => note === 'iss');
    const at = iss?.at as number;
    expect(
      Buffer.from(envelope())
        .subarray(at, at + 2)
        .toString('hex'),
      'offsets are of the whole',
    ).toBe('7838');
  });

  it('that are cut off anywhere tell what is before the cut, and where it is', () => {
    const whole = envelope();
    for (let end = 8; end < whole.length; end++) {
      const decoded = decodeRefused(whole.subarray(0, end));
      if (decoded.form !== 'cbor') throw new Error(`${end}: ${decoded.form}`);
      expect(decoded.stop, `${end}`).toMatchObject({ why: 'ends' });
      expect(decoded.stop?.at, `${end}`).toBeLessThanOrEqual(end);
      if (decoded.root) linesOf(decoded.root);
    }
    const headers = cbor(whole.subarray(0, 160));
    expect(headers.facts).toMatchObject({ iss: device.did, sub: device.sub, epoch: 3, seq: 7 });
  });

  it('that no strict decoder takes are shown all the same', () => {
    const show = (text: string): string => {
      const { root } = cbor(Buffer.from(text, 'hex'));
      return linesOf(root as NonNullable<typeof root>)
        .lines.map((l) => l.text)
        .join(' ');
    };
    expect(show('9f0102ff'), 'an open length').toBe('[ 1, 2 ]');
    expect(show('8118' + '05'), 'a long form').toBe('[ 5 ]');
    expect(show('a2010a010b'), 'a key twice').toBe('{ 1: 10, 1: 11 }');
    expect(show('81f97e00')).toBe('[ NaN ]');
    expect(show('811bffffffffffffffff')).toBe('[ 18446744073709551615 ]');
    expect(show('81' + '5f4101420203ff')).toBe("[ h'010203' ]");
    expect(show('81f7')).toBe('[ undefined ]');
    expect(cbor(Buffer.from('8101ff', 'hex')).stop).toEqual({ at: 2, why: 'after' });
    expect(cbor(Buffer.from('811c', 'hex')).stop).toEqual({ at: 1, why: 'reserved' });
    expect(cbor(Buffer.from('81'.repeat(100), 'hex')).stop).toMatchObject({ why: 'deep' });
  });

  it('of SenML in JSON, and of anything else', () => {
    const json = Buffer.from('[{"n":"temperature","u":"Cel","v":21.5},7]');
    expect(decodeRefused(json)).toMatchObject({
      form: 'json',
      facts: { records: [{ n: 'temperature', u: 'Cel', v: '21.5', t: '' }] },
    });
    for (const other of ['hello', '{"n":', '안녕'])
      expect(decodeRefused(Buffer.from(other)), other).toEqual({ form: 'text', text: other });
    for (const other of ['', '\u0001\u0002'])
      expect(decodeRefused(Buffer.from(other)), other).toEqual({ form: 'bytes' });
    expect(dump(Buffer.from('hello, world! 0123'))).toBe(
      [
        '000000  68 65 6c 6c 6f 2c 20 77 6f 72 6c 64 21 20 30 31  hello, world! 01',
        `000010  32 33${' '.repeat(42)}  23`,
      ].join('\n'),
    );
  });

  it('whatever they are end in an answer, and soon', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const decoded = decodeRefused(bytes);
        if (decoded.form === 'cbor' && decoded.root) expect(linesOf(decoded.root).lines.length).toBeLessThan(700);
      }),
      { seed: 7, numRuns: 3000 },
    );
    // Lengths that nobody can mean cost nothing.
    for (const hex of ['9bffffffffffffffff', '5bffffffffffffffff', 'bbffffffffffffffff01'])
      expect(decodeRefused(Buffer.from(hex, 'hex'))).toMatchObject({ form: 'cbor', stop: { why: 'ends' } });
  });
});
