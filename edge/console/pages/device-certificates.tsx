/** What was certified of a device in its last week. */
import type { CertificateRowView, CertificateState } from '../../api/credit-views.ts';
import { clock, DASH, energy } from '../format.ts';
import { useQuery } from '../query.ts';
import { href } from '../router.ts';
import { Badge, Empty, Panel, Problem, type State, Table } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './device.words.ts';

const EVERY_MS = 15_000;
const DAYS = 7;
const LIMIT = 200;
const STATES: Record<CertificateState, State> = {
  ready: 'info',
  sent: 'info',
  minted: 'good',
  refused: 'bad',
  withdrawn: 'idle',
};
/** The week begins at a full hour, so that the question stays the same for a while. */
const weekAgo = (): string =>
  new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 - DAYS * 86_400_000).toISOString();

export function DeviceCertificates({ did }: { did: string }) {
  const w = useWords(table);
  const { data, error } = useQuery<{ certificates: CertificateRowView[] }>(
    `/certificates?device=${encodeURIComponent(did)}&from=${weekAgo()}&limit=${LIMIT}`,
    EVERY_MS,
  );
  const off = error?.code === 'CREDITS_OFF';
  const rows = [...(data?.certificates ?? [])].sort((a, b) => b.slot - a.slot || b.version - a.version);
  return (
    <Panel title={w.certificates} hint={w.certificatesHint} flush>
      {!off && <Problem error={error} />}
      <Table
        caption={w.certificates}
        rows={off ? [] : rows}
        rowKey={(c) => c.id}
        empty={
          (data || off) && (
            <Empty title={off ? w.creditsOff : w.noCertificates}>{off ? null : w.noCertificatesWhy}</Empty>
          )
        }
        columns={[
          {
            key: 'hour',
            label: w.hour_,
            cell: (c) => (
              <a class="num" href={href('certificate', c.id)}>
                {clock(c.slot * 1000)}
              </a>
            ),
          },
          { key: 'energy', label: w.energy, align: 'end', cell: (c) => energy(c.wh) },
          {
            key: 'claimed',
            label: w.claimed,
            rank: 2,
            align: 'end',
            cell: (c) => (c.claimedWh > 0 ? energy(c.claimedWh) : DASH),
          },
          {
            key: 'state',
            label: w.state,
            cell: (c) => (
              <Badge state={STATES[c.state]} {...(c.detail ? { title: c.detail } : {})}>
                {w[c.state]}
              </Badge>
            ),
          },
        ]}
      />
    </Panel>
  );
}
