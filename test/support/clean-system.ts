/**
 * A clean Debian with its own systemd, beside the machine's: mmdebstrap makes its files, namespaces give it processes,
 * mounts, users, cgroups and a network of its own. Nothing of it is left when the test ends.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ended, run } from './cli.ts';
import { onTestFinished } from './ends.ts';
import { until } from './temp.ts';

const ARCHIVE = 'http://deb.debian.org/debian';
const has = (program: string): boolean =>
  (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, program)));

/** Why none can be made here, in plain words; undefined where one can. */
export function whyNoCleanSystem(): string | undefined {
  if (process.platform !== 'linux') return 'no Linux';
  if (process.getuid?.() !== 0) return 'not root';
  const missing = ['mmdebstrap', 'unshare', 'nsenter', 'pivot_root', 'dpkg-deb'].filter((program) => !has(program));
  if (missing.length > 0) return `no ${missing.join(', ')}`;
  return undefined;
}

const codename = (): string =>
  /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';

/**
 * The smallest Debian that boots, in `folder`, which is made.
 * @returns false where the archive cannot be reached
 */
export async function makeCleanSystem(folder: string): Promise<boolean> {
  const options = ['--mode=root', '--variant=minbase', '--include=systemd-sysv,adduser', '--dpkgopt=force-unsafe-io'];
  const made = await run('mmdebstrap', [...options, '--quiet', codename(), folder, ARCHIVE], {
    env: { DEBIAN_FRONTEND: 'noninteractive', SOURCE_DATE_EPOCH: undefined },
  });
  if (made.code === 0) return true;
  if (/resolve|[Ff]ailed to fetch|[Cc]onnection|[Uu]nreachable|[Tt]imeout/.test(made.stderr)) return false;
  throw new Error(`mmdebstrap ended with ${made.code}:\n${made.stderr.slice(-4000)}`);
}

/**
 * What the first process does before it becomes systemd. A chroot will not do: the kernel refuses user namespaces there.
 * And mounts must be shared, or no service sees its credentials.
 */
const BOOT = `set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sys sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm .host
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . .host
exec chroot . /bin/sh -c 'umount -l /.host; rmdir /.host; mount --make-rshared /
  exec /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system'`;

/** A cgroup of its own, so that this systemd sorts nobody else's processes. */
function ownCgroup(): { join: string; remove: () => Promise<void> } {
  const base = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));
  if (base === undefined) return { join: '', remove: async () => undefined };
  const own = join(base, `sejong-edge-test-${process.pid}`);
  mkdirSync(own);
  return {
    join: `echo $$ > ${own}/cgroup.procs; `,
    // Until the last of its processes has ended, the kernel keeps the folders of those that have some.
    remove: () =>
      until(() => {
        spawnSync('find', [own, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'], { stdio: 'ignore' });
        return !existsSync(own);
      }, `${own} is gone`),
  };
}

export type CleanSystem = {
  root: string;
  /** Runs a program in it, as root, to its end. */
  run: (program: string, ...args: string[]) => Promise<Ended>;
  /** The same; what it says on standard output. @throws Error where its code is not 0 */
  must: (program: string, ...args: string[]) => Promise<string>;
};

/** Boots it; it ends with the test. @throws Error where systemd does not come up */
export async function bootCleanSystem(root: string): Promise<CleanSystem> {
  const cgroup = ownCgroup();
  const namespaces = ['--pid', '--fork', '--mount', '--net', '--ipc', '--uts', '--cgroup', '--kill-child'];
  const boot = spawn(
    '/bin/sh',
    ['-c', `${cgroup.join}exec unshare ${namespaces.join(' ')} /bin/sh -c "$0" boot "$1"`, BOOT, root],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [boot.stdout, boot.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const ended = new Promise<void>((resolve) => boot.once('close', () => resolve()));
  onTestFinished(async () => {
    boot.kill('SIGKILL'); // and with it the kernel ends all that is in the namespace
    await ended;
    await cgroup.remove();
  });
  const first = async (): Promise<string | undefined> => {
    const path = `/proc/${boot.pid}/task/${boot.pid}/children`;
    const pid = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
    return pid === '' ? undefined : pid;
  };
  const enter = async (program: string, args: readonly string[]): Promise<Ended> => {
    const pid = await first();
    if (pid === undefined) throw new Error(`the system is gone: ${said}`);
    const environment = [
      '-i',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      'HOME=/root',
      'LANG=C.UTF-8',
      'DEBIAN_FRONTEND=noninteractive',
    ];
    return run('nsenter', [
      ...['-t', pid, '-m', '-p', '-n', '-i', '-u', '-C', '-r', '-w', '--'],
      ...['/usr/bin/env', ...environment, program, ...args],
    ]);
  };
  await until(
    async () => {
      if (boot.exitCode !== null) throw new Error(`systemd did not boot: ${said}`);
      if ((await first()) === undefined) return false;
      const { stdout } = await enter('systemctl', ['is-system-running']).catch(() => ({ stdout: '' }));
      return /running|degraded/.test(stdout);
    },
    'systemd has booted',
    60_000,
  );
  return {
    root,
    run: (program, ...args) => enter(program, args),
    must: async (program, ...args) => {
      const { code, stdout, stderr } = await enter(program, args);
      if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
      return stdout;
    },
  };
}

/** A script that the package's own Node runs in it. */
export async function script(system: CleanSystem, text: string, ...args: string[]): Promise<string> {
  const path = '/root/script.mjs';
  writeFileSync(join(system.root, path), text);
  return system.must('/usr/lib/sejong-edge/bin/node', path, ...args);
}
