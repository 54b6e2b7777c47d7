import { EdgeError } from '../../errors.ts';

/**
 * What can go wrong on a serial line, as it is counted:
 *   away         the port itself: absent, not permitted, held by another program, unplugged
 *   no-answer    the slave stayed silent, or nothing that was heard looks like its answer
 *   corrupt      an answer began, but no frame with a right checksum came of it
 *   exception    the slave refused (Modbus Application Protocol V1.1b3 section 7)
 *   not-sunspec  the slave answers, but not as a SunSpec inverter
 *   no-value     the registers were read and hold nothing usable
 */
export type FaultKind = 'away' | 'no-answer' | 'corrupt' | 'exception' | 'not-sunspec' | 'no-value';

export class SerialFault extends EdgeError {
  readonly kind: FaultKind;
  /** The Modbus exception code, where kind is exception. */
  readonly exception: number | undefined;
  constructor(kind: FaultKind, detail: string, exception?: number) {
    super(kind === 'away' ? 'SERIAL_AWAY' : 'SERIAL_VALUE', detail);
    this.name = 'SerialFault';
    this.kind = kind;
    this.exception = exception;
  }
}
