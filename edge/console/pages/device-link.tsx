import { kindOf } from '../names.ts';
import { href } from '../router.ts';
import './device-link.css';

/** A device in one line of a table: what it is called, and below it of what kind. */
export const DeviceLink = (props: { did: string; kind: string; sub: string; label?: string | null }) => (
  <span class="device-link">
    <a href={href('device', props.did)} title={`${props.sub} · ${props.did}`}>
      {props.label ?? shortSub(props.sub)}
    </a>
    <small>{kindOf(props.kind)}</small>
  </span>
);

/** A URN without what all in the district have in common. */
export const shortSub = (sub: string): string => sub.replace(/^urn:(?:sejong:)?/, '');
