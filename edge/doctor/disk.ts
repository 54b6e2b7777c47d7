/** The disk below the data folder: room, kind, wear, and how long an fsync takes. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { formerCopies } from '../store/upgrade.ts';
import { bad, bytes, type Finding, ok, warn } from './finding.ts';

const SYNCS = 24;
const PAGE = 4096;
const SLOW_MS = 50;
const VERY_SLOW_MS = 1_000;
/** What SQLite's locks and syncs can be trusted on, and what not. */
const VOLATILE = ['tmpfs', 'ramfs'];
const REMOTE = ['nfs', 'nfs4', 'cifs', 'smb3', '9p', 'fuse', 'fuse.sshfs', 'vboxsf'];
const SIMPLE = ['vfat', 'exfat', 'msdos', 'fuseblk', 'ntfs'];

type Mount = { device: string; at: string; kind: string; options: string };

/** The nearest folder that is there. */
const present = (path: string): string => (existsSync(path) ? path : present(dirname(path)));

export function mountOf(path: string, mounts = readFileSync('/proc/self/mounts', 'utf8')): Mount | undefined {
  const real = realpathSync(present(path));
  return mounts
    .split('\n')
    .flatMap((line) => {
      const [device = '', at = '', kind = '', options = ''] = line.split(' ');
      const place = at.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
      const below = place === '/' || real === place || real.startsWith(`${place}/`);
      return below && at !== '' ? { device, at: place, kind, options } : [];
    })
    .reduce<Mount | undefined>((best, mount) => (best && best.at.length > mount.at.length ? best : mount), undefined);
}

export function examineDisk(dataFolder: string, reserveBytes: number): Finding[] {
  const folder = present(dataFolder);
  const findings: Finding[] = [];
  const { bavail, blocks, bsize, ffree } = statfsSync(folder);
  const free = bavail * bsize;
  const room = `${bytes(free)} free of ${bytes(blocks * bsize)}, the reserve is ${bytes(reserveBytes)}`;
  const make =
    'Make room, or move dataFolder to a larger disk; retention.days and retention.maxBytes say what may be forgotten.';
  findings.push(
    free <= reserveBytes
      ? bad('disk', `${room}: nothing is acknowledged`, make)
      : free <= 2 * reserveBytes || free < 256 * 1024 * 1024
        ? warn('disk', room, make)
        : ok('disk', room),
  );
  if (ffree === 0 && blocks > 0 && !['btrfs', 'overlay', 'zfs', 'vfat'].includes(mountOf(folder)?.kind ?? ''))
    findings.push(bad('inodes', 'none is free', 'Remove small files that nobody needs.'));
  const mount = mountOf(folder);
  if (mount) findings.push(kindOf(mount), ...wearOf(mount));
  const copies = existsSync(dataFolder) ? formerCopies(join(dataFolder, 'edge.db')) : [];
  if (copies.length > 0)
    findings.push(
      warn(
        'old copies',
        `${copies.length} from before upgrades lie in the data folder`,
        'Delete them once the upgrade has proven itself: what is forgotten now is still in them.',
      ),
    );
  return findings;
}

function kindOf({ kind, at, options }: Mount): Finding {
  const said = `${kind} at ${at}`;
  if (options.split(',').includes('ro'))
    return bad(
      'file system',
      `${said} is mounted read only`,
      'Look at dmesg: a disk that fails is remounted so. Replace it, and restore a backup.',
    );
  if (VOLATILE.includes(kind))
    return bad(
      'file system',
      `${said} is in memory`,
      'Put dataFolder on a disk: everything would be gone with the power.',
    );
  if (REMOTE.includes(kind) || kind.startsWith('fuse.'))
    return bad(
      'file system',
      `${said} is no local one`,
      'Put dataFolder on a local disk: locks and syncs cannot be relied on here.',
    );
  if (SIMPLE.includes(kind))
    return bad(
      'file system',
      `${said} has no modes and no journal`,
      'Use ext4, btrfs, xfs or f2fs: keys cannot be kept from others here.',
    );
  return ok('file system', said);
}

/** What the kernel tells of an SD card, an eMMC or a disk's wear; nothing where it tells nothing. */
function wearOf({ device }: Mount): Finding[] {
  const name = /^\/dev\/(mmcblk\d+|sd[a-z]+|nvme\d+n\d+)/.exec(device)?.[1];
  if (name === undefined) return [];
  const read = (file: string): string => {
    const path = `/sys/block/${name}/device/${file}`;
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  };
  if (name.startsWith('mmcblk')) {
    // eMMC 5: tenths of its life that are used, 0x01 to 0x0b; what an SD card has not.
    const used = read('life_time')
      .split(/\s+/)
      .map(Number)
      .filter((n) => n > 0);
    const most = Math.max(0, ...used);
    if (most >= 10)
      return [bad('wear', `${name}: 90 % of its writes or more are used`, 'Replace it now, from a backup.')];
    if (most >= 8)
      return [warn('wear', `${name}: ${(most - 1) * 10} % of its writes or more are used`, 'Plan to replace it.')];
    if (most > 0) return [ok('wear', `${name}: up to ${most * 10} % of its writes are used`)];
    return [
      warn(
        'wear',
        `${name} is an SD card (${read('name') || 'unnamed'}), which does not tell its wear`,
        'Use an industrial card or an SSD, raise log.checkpointSeconds, and make backups.',
      ),
    ];
  }
  return [];
}

/** Written and synced as the gateway's commits are: a page at the end of a file that is there. */
export function examineFsync(dataFolder: string): Finding {
  const folder = present(dataFolder);
  for (const name of readdirSync(folder)) if (/^\.doctor-\d+$/.test(name)) rmSync(join(folder, name), { force: true });
  const path = join(folder, `.doctor-${process.pid}`);
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    return bad(
      'fsync',
      `${folder}: ${(error as Error).message}`,
      'Run doctor as the user that the gateway runs as, or let that user write there.',
    );
  }
  try {
    const times: number[] = [];
    const page = Buffer.alloc(PAGE, 1);
    for (let i = 0; i < SYNCS; i++) {
      writeSync(file, page);
      const from = performance.now();
      fsyncSync(file);
      times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    const [median, slowest] = [times[SYNCS / 2] as number, times.at(-1) as number];
    const said = `${median.toFixed(1)} ms, the slowest of ${SYNCS} ${slowest.toFixed(1)} ms`;
    const todo =
      'Each commit waits for one: devices wait for their PUBACK as long. A better card or an SSD helps, and few large commits do.';
    return median > VERY_SLOW_MS
      ? bad('fsync', said, todo)
      : median > SLOW_MS
        ? warn('fsync', said, todo)
        : ok('fsync', said);
  } finally {
    closeSync(file);
    rmSync(path, { force: true });
  }
}
