/** Enrolment and life of devices. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import type { Device, DeviceStatus } from '../store/devices.ts';
import type { Person } from '../tokens.ts';
import { decodeEnvelope } from '../wire/envelope.ts';
import { describeDevice, describeGap } from './describe.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { inSuccession } from './succession.ts';
import { DeviceView, Did, GapView, NewDeviceView, Sub } from './views.ts';

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
  /** The entry about how it was replaced, where there is one that can be read. */
  const endOf = (device: Device) => {
    const row = parts.successions.of(device.id);
    const entry = row && parts.entries.get(row.idx);
    if (!row || !entry || entry.leaf || entry.forgotten) return undefined;
    return { idx: row.idx, records: decodeEnvelope(entry.envelope).records };
  };
  server.get(
    '/devices',
    {
      ...needs('viewer'),
      schema: {
        summary: 'All devices, or those of one metering point in the order in which they took over',
        tags,
        security: bearer,
        querystring: Type.Object({ sub: Type.Optional(Sub) }, { additionalProperties: false }),
        response: { 200: Type.Object({ devices: Type.Array(DeviceView) }) },
      },
    },
    ({ query: { sub } }) => ({
      devices: (sub === undefined ? devices.list() : inSuccession(devices.list(), sub)).map((d) =>
        describeDevice(d, quarantine),
      ),
    }),
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
      const declared = gaps.list(device.id, MAX_DECLARED);
      return {
        ...describeDevice(device, quarantine, declared, parts.registration(device), endOf(device)),
        ...(parts.alarms.isSilent(device) ? { silent: true } : {}),
      };
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
          body: Type.Object({}, { additionalProperties: false }),
          response: { 200: DeviceView },
        },
      },
      async (request) =>
        describeDevice(await parts.setStatus(request.params.did, status, null, request.person as Person), quarantine),
    );
}
