/** The three functions of reflect-metadata that @peculiar/x509's container asks for, and which it wants from its user. */
const kept = new WeakMap<object, Map<unknown, unknown>>();
const own = (key: unknown, target: object): unknown => kept.get(target)?.get(key);

Object.assign(Reflect, {
  defineMetadata: (key: unknown, value: unknown, target: object) => {
    kept.set(target, (kept.get(target) ?? new Map()).set(key, value));
  },
  getOwnMetadata: own,
  getMetadata: (key: unknown, target: object): unknown => {
    for (let at: object | null = target; at; at = Object.getPrototypeOf(at) as object | null)
      if (kept.get(at)?.has(key)) return own(key, at);
    return undefined;
  },
});

export {};
