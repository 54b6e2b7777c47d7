/** Where a device stands in the district: the same name, folder and rhythm whichever boot of it stands there. */
import type { Device, Enrolment } from './device.ts';
import type { Post } from './scenarios.ts';

export type PlaceOptions = {
  name: string;
  /** What it is counted with. */
  group: string;
  boot: () => Device;
  describe: (device: Device) => Enrolment;
};

export class Place implements Post {
  readonly name: string;
  readonly group: string;
  readonly #o: PlaceOptions;
  device: Device;

  constructor(options: PlaceOptions) {
    this.name = options.name;
    this.group = options.group;
    this.#o = options;
    this.device = options.boot();
  }

  /** All that stand here, or stood here and have something to send. */
  get devices(): readonly Device[] {
    return [this.device];
  }

  enrolments(): Enrolment[] {
    return this.devices.map(this.#o.describe);
  }

  goOnline(): void {
    this.device.goOnline();
  }

  goOffline(): void {
    for (const device of this.devices) device.goOffline();
  }

  restart(): void {
    const { sent } = this.device;
    this.device.kill();
    this.device = this.#o.boot();
    this.device.remember(sent);
    this.goOnline();
  }

  async stop(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.stop()));
  }
}
