/** Lists as CSV (RFC 4180), for spreadsheets. */
import type { CertificateRowView } from './credit-views.ts';

const COLUMNS = [
  ...([
    'id',
    'version',
    'meteringPoint',
    'device',
    'start',
    'end',
    'wh',
    'claimedWh',
    'state',
    'code',
    'detail',
  ] as const),
  ...(['flags', 'owner', 'transaction', 'block'] as const),
];

/** A cell that a spreadsheet would take for a formula is made text. */
function cell(value: string | number | null): string {
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function certificatesCsv(rows: readonly CertificateRowView[]): string {
  const lines = rows.map(({ transaction, flags, ...row }) => {
    const flat = {
      ...row,
      flags: flags.join(' '),
      transaction: transaction?.hash ?? null,
      block: transaction?.block ?? null,
    };
    return COLUMNS.map((name) => cell(flat[name])).join(',');
  });
  return [COLUMNS.join(','), ...lines, ''].join('\r\n');
}
