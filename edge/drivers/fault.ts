import { EdgeError } from '../errors.ts';

/**
 * What can go wrong on a line, as it is counted:
 *   away       the port itself: absent, not permitted, held by another program, unplugged
 *   no-answer  the device stayed silent, or nothing that was heard looks like its answer
 *   corrupt    an answer or a telegram began, but none with a right checksum came of it
 *   exception  the device refused: a Modbus exception, a DLMS access result, NO DATA
 *   mismatch   the device answers, but it is not what the profile says, or does not speak its protocol
 *   no-value   it was read, and holds nothing usable now
 *   late       a poll took longer than it may
 */
export type FaultKind = 'away' | 'no-answer' | 'corrupt' | 'exception' | 'mismatch' | 'no-value' | 'late';

export class SerialFault extends EdgeError {
  readonly kind: FaultKind;
  /** The code of a Modbus exception. */
  readonly exception: number | undefined;
  constructor(kind: FaultKind, detail: string, exception?: number) {
    super(kind === 'away' ? 'SERIAL_AWAY' : 'SERIAL_VALUE', detail);
    this.name = 'SerialFault';
    this.kind = kind;
    this.exception = exception;
  }
}
