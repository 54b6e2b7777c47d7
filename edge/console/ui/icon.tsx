/** Line icons, 20 by 20, drawn in the colour of the text. They never stand alone: a word is beside each. */
const PATHS = {
  now: 'M2.5 10h3l2.5-6 4 12 2.5-6h3',
  district: 'M3 17V9l4-3v11M7 17V3l6 3v11M13 17V9l4 2v6M2 17h16',
  log: 'M10 2.5v4M10 6.5 5 11M10 6.5l5 4.5M5 11v3M15 11v3M3.5 14h3v3h-3zM13.5 14h3v3h-3z',
  credits:
    'M10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.5 1.5M14.2 14.2l1.5 1.5M4.3 15.7l1.5-1.5M14.2 5.8l1.5-1.5M13.2 10a3.2 3.2 0 1 1-6.4 0 3.2 3.2 0 0 1 6.4 0z',
  checks: 'M3 17V6M3 7.5h13M16 7.5v2M7 7.5v2M11.5 7.5v2M3 17h4',
  quarantine: 'M10 3 2.8 16h14.4zM10 8v3.5M10 13.7v.3',
  people:
    'M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 17c0-3 2.5-5 5.5-5s5.5 2 5.5 5M13 4a3 3 0 0 1 0 5.5M15 12.4c1.8.8 3 2.5 3 4.6',
  verify: 'M10 2.2 16.5 5v4.6c0 4-2.7 6.9-6.5 8.2-3.8-1.3-6.5-4.2-6.5-8.2V5zM7 9.8l2.2 2.2L13.3 8',
  more: 'M4 10h.01M10 10h.01M16 10h.01',
  search: 'M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12zM13.5 13.5 17.5 17.5',
  sun: 'M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM10 1.8v2M10 16.2v2M1.8 10h2M16.2 10h2M4.2 4.2l1.4 1.4M14.4 14.4l1.4 1.4M4.2 15.8l1.4-1.4M14.4 5.6l1.4-1.4',
  moon: 'M16.5 12.2A7 7 0 0 1 7.8 3.5a7 7 0 1 0 8.7 8.7z',
  auto: 'M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14',
  out: 'M8 3H4v14h4M12 6.5 15.5 10 12 13.5M15 10H7.5',
  back: 'M12 4 6 10l6 6',
  next: 'm8 4 6 6-6 6',
  close: 'm5 5 10 10M15 5 5 15',
  copy: 'M7 7V3.5h9.5V13H13M3.5 7H13v9.5H3.5z',
  up: 'm5 12 5-5 5 5',
  down: 'm5 8 5 5 5-5',
} as const;
export type IconName = keyof typeof PATHS;

export const Icon = ({ name, size = 20 }: { name: IconName; size?: number }) => (
  <svg class="icon" viewBox="0 0 20 20" width={size} height={size} aria-hidden="true" focusable="false">
    <path d={PATHS[name]} />
  </svg>
);
