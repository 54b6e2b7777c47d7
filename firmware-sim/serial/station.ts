/** What a simulated device on a wire is. The wire (line.ts) carries bytes; what they mean is the device's own matter. */

/** How a device speaks: bytes leave at the line's rate, in the order in which they were said. */
export type Say = (bytes: Uint8Array) => void;

export type WireStation = {
  /** The wire is there. From now on it may speak. */
  plug(say: Say): void;
  /** All that is on the wire from the gateway's side, in chunks as they come. */
  hear(chunk: Uint8Array): void;
  /** The wire has been silent for about 3.5 characters: where a silence ends a frame. */
  silence?(): void;
  /** The wire is gone: no timer may be left. */
  unplug(): void;
};
