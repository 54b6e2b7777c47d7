/** The pages, one line each: their part of the address, whether the navigation names them, and who may open them. */
import type { FunctionComponent } from 'preact';
import type { Role } from '../session.ts';
import type { IconName } from '../ui/icon.tsx';
import Certificate from './certificate.tsx';
import Checks from './checks.tsx';
import Credits from './credits.tsx';
import Device from './device.tsx';
import District from './district.tsx';
import Entry from './entry.tsx';
import Log from './log.tsx';
import Now from './now.tsx';
import People from './people.tsx';
import Quarantine from './quarantine.tsx';
import Verify from './verify.tsx';

export type PageRow = {
  page: FunctionComponent;
  /** In the navigation, in this order; `under` is the page of the navigation that it belongs to. */
  icon?: IconName;
  under?: string;
  role?: Role;
  /** Opens without a sign-in. */
  open?: true;
};

export const PAGES: Record<string, PageRow> = {
  now: { page: Now, icon: 'now' },
  district: { page: District, icon: 'district' },
  device: { page: Device, under: 'district' },
  log: { page: Log, icon: 'log' },
  entry: { page: Entry, under: 'log' },
  credits: { page: Credits, icon: 'credits' },
  certificate: { page: Certificate, under: 'credits' },
  checks: { page: Checks, icon: 'checks' },
  quarantine: { page: Quarantine, icon: 'quarantine' },
  verify: { page: Verify, icon: 'verify', open: true },
  people: { page: People, icon: 'people', role: 'operator' },
};
