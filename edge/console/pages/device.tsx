/** One device: what it says over time, the proofs of it, what was certified, what is missing; and how it is stopped. */
import { useState } from 'preact/hooks';
import type { DeviceView } from '../../api/views.ts';
import { post } from '../api.ts';
import { DEVICE_STATES, deviceState } from '../device-state.ts';
import { DASH, duration, number, shortDid } from '../format.ts';
import { kindOf } from '../names.ts';
import { useDeed, useQuery } from '../query.ts';
import { href, route } from '../router.ts';
import { may } from '../session.ts';
import { Badge, Dialog, Fact, Facts, Id, Loading, Page, Panel, Problem, Stat, Table, Time } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './device.words.ts';
import { DeviceCertificates } from './device-certificates.tsx';
import { DeviceEntries } from './device-entries.tsx';
import { shortSub } from './device-link.tsx';
import { DeviceValues } from './device-values.tsx';
import states from './district.words.ts';

const EVERY_MS = 4_000;

export default function Device() {
  const w = useWords(table);
  const s = useWords(states);
  const did = route.value.params[0] ?? '';
  const { data, error, reload } = useQuery<DeviceView>(`/devices/${encodeURIComponent(did)}`, EVERY_MS);
  const back = { href: href('district'), label: w.back };
  if (!data)
    return (
      <Page title={w.title} back={back}>
        {error ? <Problem error={error} retry={reload} /> : <Loading />}
      </Page>
    );
  const name = data.label ?? shortSub(data.sub);
  const missing = data.counter?.gaps.reduce((sum, { count }) => sum + count, 0) ?? 0;
  const state = deviceState({ ...data, lastMs: data.counter?.lastMs ?? null });
  return (
    <Page
      title={name}
      back={back}
      lead={
        <>
          {kindOf(data.kind)} · <Id value={data.did} /> <Badge state={DEVICE_STATES[state]}>{s[state]}</Badge>
        </>
      }
      actions={<Standing device={data} name={name} onDone={reload} />}
    >
      <Problem error={error} retry={reload} />
      <div class="grid now-grid">
        <Stat
          label={w.lastHeard}
          value={<Time ms={data.counter?.lastMs} ago />}
          why={data.counter ? w.lastHeardWhy : w.never}
        />
        <Stat
          label={w.entries}
          value={number(data.counter?.entries ?? 0)}
          why={
            data.counter?.lastIndex === null || !data.counter ? w.never : w.entriesWhy(number(data.counter.lastIndex))
          }
        />
        <Stat
          label={w.gaps}
          value={number(missing)}
          {...(missing > 0 ? { state: 'warn' as const } : {})}
          why={missing > 0 ? w.gapsWhy : w.noGaps}
        />
        <Stat
          label={w.quarantined}
          value={number(data.quarantined)}
          {...(data.quarantined > 0 ? { state: 'warn' as const } : {})}
          why={w.quarantinedWhy}
          href={href('quarantine')}
        />
      </div>
      <DeviceValues did={did} />
      <div class="now-columns">
        <DeviceEntries did={did} />
        <DeviceCertificates did={did} />
      </div>
      <Gaps device={data} />
      <About device={data} />
    </Page>
  );
}

function Standing(props: { device: DeviceView; name: string; onDone: () => void }) {
  const w = useWords(table);
  const [asked, ask] = useState(false);
  const deed = useDeed();
  const { did, status } = props.device;
  if (!may('operator') || (status !== 'active' && status !== 'suspended')) return null;
  const stop = status === 'active';
  const close = (): void => {
    ask(false);
    deed.clear();
  };
  const submit = async (): Promise<void> => {
    const path = `/devices/${encodeURIComponent(did)}/${stop ? 'suspend' : 'resume'}`;
    if (!(await deed.run(() => post(path)))) return;
    close();
    props.onDone();
  };
  return (
    <>
      <button type="button" class={`button ${stop ? 'danger' : 'primary'}`} onClick={() => ask(true)}>
        {stop ? w.suspend : w.resume}
      </button>
      <Dialog
        open={asked}
        title={stop ? w.suspendTitle : w.resumeTitle}
        onClose={close}
        onSubmit={() => void submit()}
        submit={stop ? w.suspendDo : w.resumeDo}
        danger={stop}
        busy={deed.busy}
        error={deed.error}
      >
        <p>{stop ? w.suspendText(props.name) : w.resumeText(props.name)}</p>
        <p class="muted">{w.audit}</p>
      </Dialog>
    </>
  );
}

function Gaps({ device }: { device: DeviceView }) {
  const w = useWords(table);
  const rows = [
    ...(device.counter?.gaps ?? []).map((gap) => ({ ...gap, reason: 'open' as const, index: null })),
    ...(device.declaredGaps ?? []),
  ];
  if (rows.length === 0) return null;
  const words = { open: w.open, lost: w.lost, thinned: w.thinnedGap };
  return (
    <Panel title={w.gapList} flush>
      <Table
        caption={w.gapList}
        rows={rows}
        rowKey={(g) => `${g.epoch}-${g.first}-${g.reason}`}
        columns={[
          { key: 'epoch', label: w.epoch, rank: 2, cell: (g) => <span class="num">{g.epoch}</span> },
          {
            key: 'span',
            label: w.span,
            cell: (g) => <span class="num">{g.first === g.last ? g.first : `${g.first} – ${g.last}`}</span>,
          },
          { key: 'count', label: w.count, align: 'end', cell: (g) => number(g.count) },
          {
            key: 'reason',
            label: w.what,
            cell: (g) => (
              <>
                <Badge state={g.reason === 'open' ? 'warn' : 'idle'}>{words[g.reason]}</Badge>{' '}
                {g.reason === 'open' && <span class="muted">{w.openWhy}</span>}
              </>
            ),
          },
          {
            key: 'index',
            label: w.saidBy,
            rank: 2,
            align: 'end',
            cell: (g) => (g.index === null ? DASH : <a href={href('entry', g.index)}>{number(g.index)}</a>),
          },
        ]}
      />
    </Panel>
  );
}

function About({ device: d }: { device: DeviceView }) {
  const w = useWords(table);
  const said = (text: string | null) => text ?? <span class="muted">{w.notSaid}</span>;
  return (
    <Panel title={w.about}>
      <Facts>
        <Fact label={w.did}>
          <Id value={d.did} />
        </Fact>
        <Fact label={w.sub}>{d.sub}</Fact>
        <Fact label={w.kind}>
          {kindOf(d.kind)} <small class="muted">{d.kind}</small>
        </Fact>
        <Fact label={w.custody}>{d.custody === 'device' ? w.byDevice : w.byGateway}</Fact>
        <Fact label={w.owner}>{said(d.owner)}</Fact>
        <Fact label={w.capacity}>{said(d.capacityW === null ? null : `${number(d.capacityW / 1000, 3)} kW`)}</Fact>
        <Fact label={w.source}>{said(d.energySource)}</Fact>
        {d.registerModulusWh !== null && <Fact label={w.modulus}>{number(d.registerModulusWh)} Wh</Fact>}
        <Fact label={w.enrolled}>
          <Time ms={d.enrolledMs} />
        </Fact>
        {d.counter && (
          <Fact label={w.boot}>
            {number(d.counter.epoch)} : {number(d.counter.seq)}
          </Fact>
        )}
        {d.registry && (
          <Fact label={w.registry}>
            {d.registry.status}
            {d.registry.ageSeconds !== null && (
              <small class="muted"> {w.registryAge(duration(d.registry.ageSeconds))}</small>
            )}
          </Fact>
        )}
        {d.replacedBy && (
          <Fact label={w.replacedBy}>
            <a href={href('device', d.replacedBy)}>{shortDid(d.replacedBy)}</a>
          </Fact>
        )}
        {d.succession && (
          <Fact label={w.succession}>
            <a href={href('entry', d.succession.index)}>{number(d.succession.index)}</a>
          </Fact>
        )}
      </Facts>
    </Panel>
  );
}
