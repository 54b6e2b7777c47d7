/** Enrolment and life of devices. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import type { DeviceStatus } from '../store/devices.ts';
import { describeDevice } from './describe.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { DeviceView, Did, NewDeviceView } from './views.ts';

export function deviceRoutes(server: Server, parts: ApiParts): void {
  const { devices, quarantine } = parts;
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
    (request) => describeDevice(known(request.params.did), quarantine),
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
      const { device, secret } = await parts.enrol(request.body);
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
        return describeDevice(await parts.setStatus(request.params.did, status, by), quarantine);
      },
    );
}
