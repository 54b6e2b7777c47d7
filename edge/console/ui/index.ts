/** All that pages are made of. */
export { Chart, type Series } from './chart.tsx';
export { Dialog, Field } from './dialog.tsx';
export { Icon, type IconName } from './icon.tsx';
export { Empty, Fact, Facts, Loading, Page, Panel, Problem } from './page.tsx';
export { Badge, Bar, Id, Segments, Stat, type State, Time } from './small.tsx';
export { Sparkline } from './sparkline.tsx';
export { type Column, type Sort, Table } from './table.tsx';
