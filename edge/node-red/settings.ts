/**
 * The settings of Node-RED as this gateway hosts it. Pure: what a city's engineer may do in the editor is decided here.
 *
 * An engineer's flow may compute, speak to the network and serve pages; it may not start programs, install code, or read
 * what is not its own. The process that this runs in is held to the same by Node itself (`--permission`, see host.ts):
 * a function node is no sandbox.
 */

/** Where the editor is, and where pages of http-in nodes are. */
export const ADMIN_ROOT = '/';
export const PAGES_ROOT = '/public/';
export const USER = 'engineer';
/** Core nodes that are left out: this one starts programs. */
const EXCLUDED = ['90-exec.js'];
/** A function node that computes for longer is ended with an error of its own, before the whole process has to be. */
const FUNCTION_SECONDS = 10;
/** Messages that a node which waits for others (join, batch, sort) holds at most: what comes then is an error of it. */
const MAX_BUFFERED = 10_000;
/** An editor's session. */
const SESSION_SECONDS = 12 * 3600;

export type SettingsOptions = {
  userDir: string;
  /** Folders of Node-RED packages, each with its package.json. */
  nodesDirs: readonly string[];
  host: string;
  port: number;
  /** bcrypt. */
  passwordHash: string;
  /** What the credentials of flows are encrypted with. */
  credentialSecret: string;
  /** The editor comes up, and no flow runs before somebody deploys. */
  safeMode: boolean;
};

/** What Node-RED says; level 20 is an error, 30 a warning, 40 information. */
export type LogMessage = { level: number; msg: unknown; type?: string; name?: string; id?: string };
/** Express's, as far as it is needed here. */
type Middleware = (
  request: unknown,
  response: { setHeader: (name: string, value: string) => void },
  next: () => void,
) => void;

const headers =
  (values: Record<string, string>): Middleware =>
  (_, response, next) => {
    for (const [name, value] of Object.entries(values)) response.setHeader(name, value);
    next();
  };

/** @returns the settings object that Node-RED 4 and 5 take */
export function flowsSettings(o: SettingsOptions, log: (message: LogMessage) => void) {
  return {
    userDir: o.userDir,
    flowFile: 'flows.json',
    nodesDir: [...o.nodesDirs],
    nodesExcludes: EXCLUDED,
    uiHost: o.host,
    uiPort: o.port,
    credentialSecret: o.credentialSecret,
    adminAuth: {
      type: 'credentials',
      sessionExpiryTime: SESSION_SECONDS,
      users: [{ username: USER, password: o.passwordHash, permissions: '*' }],
    },
    httpAdminRoot: ADMIN_ROOT,
    httpNodeRoot: PAGES_ROOT,
    httpAdminMiddleware: headers({
      'x-frame-options': 'SAMEORIGIN',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
    }),
    // A page of a flow comes from the editor's origin. Sandboxed it is of none: its scripts cannot read the session of
    // an engineer who has the editor open beside it.
    httpNodeMiddleware: headers({
      'content-security-policy': 'sandbox allow-scripts allow-forms allow-popups',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    }),
    functionExternalModules: false,
    functionGlobalContext: {},
    globalFunctionTimeout: FUNCTION_SECONDS,
    nodeMessageBufferMaxLength: MAX_BUFFERED,
    externalModules: {
      autoInstall: false,
      palette: { allowInstall: false, allowUpdate: false, allowUpload: false },
      modules: { allowInstall: false },
    },
    tlsConfigDisableLocalFiles: true,
    exportGlobalContextKeys: false,
    contextStorage: { default: { module: 'memory' }, disk: { module: 'localfilesystem' } },
    telemetry: { enabled: false, updateNotification: false },
    diagnostics: { enabled: false, ui: false },
    runtimeState: { enabled: true, ui: true },
    editorTheme: {
      page: { title: 'Sejong Edge: flows' },
      header: { title: 'Sejong Edge: flows' },
      tours: false,
      projects: { enabled: false },
      palette: { catalogues: [] },
    },
    debugMaxLength: 1000,
    mqttReconnectTime: 5000,
    safeMode: o.safeMode,
    logging: { edge: { level: 'info', metrics: false, audit: false, handler: () => log } },
  };
}
