/** A metering point that goes on with another device, or with another key. */
import Type from 'typebox';
import type { Device } from '../store/devices.ts';
import type { Person } from '../tokens.ts';
import { describeDevice } from './describe.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { DeviceView, Did, RekeyView, SwapView } from './views.ts';

/** Those of one metering point: who took over comes after whom he took over from, others as they were enrolled. */
export function inSuccession(devices: readonly Device[], sub: string): Device[] {
  const these = new Map(devices.filter((d) => d.sub === sub).map((d) => [d.did, d]));
  const heirs = new Set([...these.values()].map(({ replacedBy }) => replacedBy));
  const ordered = new Set<Device>();
  // From each that took over from nobody, down its line; a device with two predecessors comes after the last of them.
  for (const first of these.values())
    if (!heirs.has(first.did))
      for (let at: Device | undefined = first; at; at = at.replacedBy === null ? undefined : these.get(at.replacedBy)) {
        ordered.delete(at);
        ordered.add(at);
      }
  return [...ordered];
}

export function successionRoutes(server: Server, parts: ApiParts): void {
  const tags = ['devices'];
  const params = Type.Object({ did: Did });
  server.post(
    '/devices/:did/replace',
    {
      ...needs('operator'),
      schema: {
        summary: 'Another device of the same metering point takes over',
        description:
          'Kinds that bill a register need the last register of the old device and the first of the new one, or null for one that cannot be read. An entry of the gateway says so; the metering point keeps its history (GET /entries?sub=).',
        tags,
        security: bearer,
        params,
        body: SwapView,
        response: { 200: DeviceView },
      },
    },
    async (request) =>
      describeDevice(await parts.replace(request.params.did, request.body, request.person as Person), parts.quarantine),
  );
  server.post(
    '/devices/:did/rekey',
    {
      ...needs('operator'),
      schema: {
        summary: 'The same device, with a new key',
        description:
          'custody device: did names the new key, and proof is the signature of the old one over "sejong-edge/rekey@1", the old DID and the new DID, each with a line feed after it. custody gateway: neither; a key is made, and a secret for the login is shown this once. Counters of the new key begin anew.',
        tags,
        security: bearer,
        params,
        body: RekeyView,
        response: { 201: Type.Object({ device: DeviceView, secret: Type.Optional(Type.String()) }) },
      },
    },
    async (request, reply) => {
      const { device, secret } = await parts.rekey(request.params.did, request.body, request.person as Person);
      return reply
        .code(201)
        .send({ device: describeDevice(device, parts.quarantine), ...(secret === undefined ? {} : { secret }) });
    },
  );
}
