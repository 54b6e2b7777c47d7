/**
 * Whole sessions with an ELM327: answer after answer, up to each prompt, whatever was asked. What is read is looked for
 * in the bytes by other means: a speed must stand there twice, or once with the checksum of a K-line.
 */
import { SerialFault } from '../../edge/drivers/fault.ts';
import { EdgeError } from '../../edge/errors.ts';
import { encodePack } from '../../edge/wire/senml.ts';
import { drive, TURN } from '../drivers/drive.ts';
import { driver } from '../drivers/obd/rig.ts';
import type { Target } from './fuzz.ts';

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

function vouched(text: string, speed: number): boolean {
  const shown = `410D${speed.toString(16).toUpperCase().padStart(2, '0')}`;
  const lines = text
    .replaceAll(/[\0 ]/g, '')
    .split(/[\r\n>]+/)
    .filter((line) => line.includes(shown));
  const summed = lines.some((line) => {
    const bytes = [...Buffer.from(line, 'hex')];
    return bytes.length * 2 === line.length && bytes.slice(0, -1).reduce((a, b) => a + b, 0) % 256 === bytes.at(-1);
  });
  return summed || lines.length > 1;
}

export const obdTarget: Target = {
  name: 'obd',
  judge: (bytes) => {
    const text = latin1(bytes);
    const answers = text.split(/(?<=>)/);
    let next = 0;
    try {
      const [reading] = drive(driver().poll(TURN), (sent) =>
        sent.length === 0 || next >= answers.length ? [] : [Buffer.from(answers[next++] as string, 'latin1')],
      );
      if (reading === undefined) return 'a poll of nothing';
      encodePack(reading.records);
      const speed = reading.records[0]?.v;
      if (reading.records[0]?.n !== 'Vehicle.Speed' || speed === undefined) return 'a reading without its speed';
      return vouched(text, speed) ? undefined : `a speed of ${speed} that nobody told twice`;
    } catch (error) {
      if (error instanceof SerialFault) throw new EdgeError('REQUEST_INVALID', error.detail);
      throw error;
    }
  },
};
