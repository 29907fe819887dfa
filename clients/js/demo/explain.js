/**
 * The demo's settings from its address, and errors in plain words.
 * @module
 */
import { ConnectionError, OperationError, ReturnCode } from '/client/index.js';

const NAME_SERVER_PORT = '9093';
const SECURE_NAME_SERVER_PORT = '19093';

/**
 * The page comes from the name server's own port, so its address is the server's; `?server=` names another.
 * @param {{ protocol: string, host: string, search: string }} location
 * @returns {{ server: string, appId: string, meadow: string | null }}
 */
export function settingsOf({ protocol, host, search }) {
  const query = new URLSearchParams(search);
  const secure = protocol === 'https:';
  const scheme = secure ? 'wss' : 'ws';
  const given = query.get('server')?.trim() || host;
  const withScheme = /^wss?:\/\//i.test(given) ? given : `${scheme}://${given}`;
  const hasPort = /:\d+\/?$/.test(withScheme);
  // Only an address that was typed may lack a port on purpose: a page's own host lacks it when it is 80 or 443.
  const port = /^wss:/i.test(withScheme) ? SECURE_NAME_SERVER_PORT : NAME_SERVER_PORT;
  const server = hasPort || !query.get('server') ? withScheme : `${withScheme.replace(/\/$/, '')}:${port}`;
  return { server, appId: query.get('app') ?? 'lampyris-demo', meadow: query.get('meadow') };
}

/**
 * @param {unknown} error
 * @returns {{ text: string, link: string | null }} what happened and what to do; `link` is a page to open
 */
export function explain(error) {
  if (error instanceof ConnectionError) return explainConnection(error);
  if (error instanceof OperationError) return { text: explainRefusal(error), link: null };
  return { text: error instanceof Error ? error.message : String(error), link: null };
}

/** @param {ConnectionError} error */
function explainConnection({ url, reason, message }) {
  const address = url.replace(/\/?\?.*$/, '');
  if (reason === 'unreachable' && /^wss:/i.test(url)) {
    const link = `${address.replace(/^wss:/i, 'https:')}/`;
    const text = `Cannot connect to ${address}. Perhaps this browser does not trust the server's certificate yet: open ${link}, accept it, and come back. Or open this page by http.`;
    return { text, link };
  }
  switch (reason) {
    case 'unreachable':
      return { text: `Cannot connect to ${address}. Is the server running, and is this port open?`, link: null };
    case 'timeout':
      return { text: `${address} does not answer. The network may be down, or the server busy.`, link: null };
    case 'lost':
      return { text: `The connection to ${address} was lost.`, link: null };
    default:
      return { text: message, link: null };
  }
}

/** @param {OperationError} error */
function explainRefusal({ returnCode, message }) {
  switch (returnCode) {
    case ReturnCode.gameFull: return 'This meadow is full. Try another one.';
    case ReturnCode.gameClosed: return 'This meadow is closed.';
    case ReturnCode.gameDoesNotExist: return 'This meadow is gone; its last firefly left.';
    case ReturnCode.gameIdAlreadyExists: return 'There is a meadow of this name already. Join it, or choose another name.';
    case ReturnCode.serverFull: return 'No game server is free at the moment.';
    case ReturnCode.maxCcuReached: return 'The server is full at the moment.';
    case ReturnCode.invalidAuthentication: return `The server did not let us in: ${message}`;
    default: return message;
  }
}
