/** Enrolment and life of devices. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import type { DeviceStatus } from '../store/devices.ts';
import type { Person } from '../tokens.ts';
import { describeDevice, describeGap } from './describe.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { DeviceView, Did, GapView, NewDeviceView } from './views.ts';

const MAX_DECLARED = 100;
const Uint32 = Type.Integer({ minimum: 0, maximum: 0xffffffff });

export function deviceRoutes(server: Server, parts: ApiParts): void {
  const { devices, quarantine, gaps } = parts;
  const tags = ['devices'];
  const params = Type.Object({ did: Did });
  const known = (did: string) => {
    const device = devices.get(did);
    if (!device) throw new EdgeError('DEVICE_UNKNOWN', did);
    return device;
  };
  server.get(
    '/devices',
    {
      ...needs('viewer'),
      schema: {
        summary: 'All devices',
        tags,
        security: bearer,
        response: { 200: Type.Object({ devices: Type.Array(DeviceView) }) },
      },
    },
    () => ({ devices: devices.list().map((d) => describeDevice(d, quarantine)) }),
  );
  server.get(
    '/devices/:did',
    {
      ...needs('viewer'),
      schema: {
        summary: 'One device, with its counter and the gaps in it',
        tags,
        security: bearer,
        params,
        response: { 200: DeviceView },
      },
    },
    (request) => {
      const device = known(request.params.did);
      return describeDevice(device, quarantine, gaps.list(device.id, MAX_DECLARED), parts.registration(device));
    },
  );
  server.post(
    '/devices/:did/gaps',
    {
      ...needs('operator'),
      schema: {
        summary: 'Declare counters of a device lost',
        description:
          'first to last must be missing without a break. An entry of the gateway says that they are lost; from then on an envelope with one of them is quarantined as REPLAY. With the receipts of that entry and of both neighbours it is proven that there is no reading (sejong-edge verify --gap).',
        tags,
        security: bearer,
        params,
        body: Type.Object({ epoch: Uint32, first: Uint32, last: Uint32 }, { additionalProperties: false }),
        response: { 201: GapView },
      },
    },
    async (request, reply) => {
      const range = request.body;
      const idx = await parts.declareLost(known(request.params.did), range, request.person as Person);
      return reply.code(201).send(describeGap({ ...range, reason: 'lost', idx }));
    },
  );
  server.post(
    '/devices',
    {
      ...needs('operator'),
      schema: {
        summary: 'Enrol a device',
        description:
          'custody device: it holds the key of its did. custody gateway: the gateway makes a key and answers with the DID and a secret for the login, which is shown this once.',
        tags,
        security: bearer,
        body: NewDeviceView,
        response: { 201: Type.Object({ device: DeviceView, secret: Type.Optional(Type.String()) }) },
      },
    },
    async (request, reply) => {
      const { device, secret } = await parts.enrol(request.body, request.person as Person);
      return reply
        .code(201)
        .send({ device: describeDevice(device, quarantine), ...(secret === undefined ? {} : { secret }) });
    },
  );
  const actions: Record<string, DeviceStatus> = {
    suspend: 'suspended',
    resume: 'active',
    revoke: 'revoked',
    replace: 'replaced',
  };
  for (const [action, status] of Object.entries(actions))
    server.post(
      `/devices/:did/${action}`,
      {
        ...needs('operator'),
        schema: {
          summary: `Make a device ${status}`,
          tags,
          security: bearer,
          params,
          body:
            action === 'replace'
              ? Type.Object({ by: Did }, { additionalProperties: false })
              : Type.Object({}, { additionalProperties: false }),
          response: { 200: DeviceView },
        },
      },
      async (request) => {
        const by = (request.body as { by?: string }).by ?? null;
        // The metering point must be carried on by the device that takes over.
        if (by !== null) {
          const [old, heir] = [known(request.params.did), known(by)];
          if (heir === old) throw new EdgeError('STATE_CONFLICT', `${by} cannot replace itself`);
          if (heir.sub !== old.sub) throw new EdgeError('STATE_CONFLICT', `${by} is enrolled for another sub`);
          if (heir.status !== 'active') throw new EdgeError('STATE_CONFLICT', `${by} is ${heir.status}`);
        }
        return describeDevice(
          await parts.setStatus(request.params.did, status, by, request.person as Person),
          quarantine,
        );
      },
    );
}
