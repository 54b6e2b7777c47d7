import { short } from '../format.ts';
import { useWords } from '../words.ts';
import type { State } from './small.tsx';
import ui from './ui.words.ts';

const WIDTH = 120;
const HEIGHT = 32;

/**
 * A trend without axes. Gaps (null) stay gaps. It scales to its place; it begins at 0 where that is near, or where `zero`
 * says so. What never changes is a line in the middle.
 */
export function Sparkline(props: {
  label: string;
  values: readonly (number | null)[];
  format?: ((n: number) => string) | undefined;
  state?: State | undefined;
  zero?: boolean | undefined;
}) {
  const w = useWords(ui);
  const known = props.values.filter((v) => v !== null);
  if (known.length < 2) return <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
  const least = Math.min(...known);
  const most = Math.max(...known);
  const near = least >= 0 && least < (most - least) * 2;
  const low = props.zero || near ? Math.min(0, least) : least;
  const span = most - low;
  const x = (i: number): string => ((i / (props.values.length - 1)) * WIDTH).toFixed(1);
  const y = (v: number): string => (HEIGHT - 2 - (span > 0 ? (v - low) / span : 0.5) * (HEIGHT - 4)).toFixed(1);
  let line = '';
  let area = '';
  let begun = -1;
  for (const [i, v] of props.values.entries()) {
    if (v === null) {
      if (begun >= 0) area += `L${x(i - 1)} ${HEIGHT}Z`;
      begun = -1;
      continue;
    }
    line += `${begun < 0 ? 'M' : 'L'}${x(i)} ${y(v)}`;
    area += begun < 0 ? `M${x(i)} ${HEIGHT}L${x(i)} ${y(v)}` : `L${x(i)} ${y(v)}`;
    if (begun < 0) begun = i;
  }
  if (begun >= 0) area += `L${x(props.values.length - 1)} ${HEIGHT}Z`;
  const say = props.format ?? short;
  return (
    <svg
      class={`spark ${props.state ?? ''}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={w.trend(props.label, say(least), say(most), say(known.at(-1) as number))}
    >
      <path class="spark-area" d={area} />
      <path class="spark-line" d={line} />
    </svg>
  );
}
