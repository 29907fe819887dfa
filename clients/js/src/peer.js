/**
 * One WebSocket connection to one server: frames, answers to requests, pings and the server's clock.
 *
 * ```text
 * open() -> WebSocket opens -> server sends "connected" -> promise of open() fulfils -> request(), send()
 * ```
 * Without a token the client sends nothing before the server's "connected" message.
 * @module
 */
import { Parameter } from './codes.js';
import { ConnectionError, TimeoutError } from './errors.js';
import { PING, decodeMessage, encodeMessage } from './message.js';
import { int } from './value.js';

/**
 * @typedef {import('./message.js').Message} Message
 * @typedef {import('./message.js').Parameters} Parameters
 * @typedef {import('./message.js').Response} Response
 * @typedef {import('./message.js').EventMessage} EventMessage
 *
 * @typedef {{ messagesIn: number, messagesOut: number, bytesIn: number, bytesOut: number,
 *   eventsIn: number, eventsOut: number }} Traffic counters that only grow
 *
 * @typedef {object} PeerOptions
 * @property {string} url whole WebSocket address
 * @property {typeof globalThis.WebSocket} WebSocket
 * @property {() => number} now milliseconds, with fractions, that never go back
 * @property {number} timeoutMs for opening, and for each answer
 * @property {Traffic} traffic
 * @property {(event: EventMessage) => void} onEvent
 * @property {(response: Response) => void} onUnexpectedResponse an answer nobody waits for
 * @property {(error: Error) => void} onBadMessage a message that could not be read; it is dropped
 * @property {(error: ConnectionError) => void} onClose the connection ended, and not by `close()`
 *
 * @typedef {object} Pending
 * @property {(response: Response) => void} resolve
 * @property {(error: Error) => void} reject
 */

const SUB_PROTOCOL = 'GpBinaryV18';
const PING_INTERVAL_MS = 1000;
/** The server answers every ping, so this many pings without a single byte mean a dead connection. */
const MAX_SILENT_PINGS = 10;
/** How far two clocks may drift apart: a measurement loses its worth with age. */
const CLOCK_DRIFT = 100e-6;
const NORMAL_CLOSURE = 1000;

export class Peer {
  #options;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Pending | null} */
  #opening = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #openTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pingTimer;
  #silentPings = 0;
  #pingSentMs = 0;
  #bestRoundTripMs = Infinity;
  /** @type {number | null} server time minus local time */
  #clockOffsetMs = null;
  /** @type {Map<number, Pending[]>} by operation; a server answers requests of one kind in their order */
  #pending = new Map();

  /** Last measured round trip, 0 before the first. */
  roundTripMs = 0;

  /** @param {PeerOptions} options */
  constructor(options) {
    this.#options = options;
  }

  get url() {
    return this.#options.url;
  }

  /** The server's clock in milliseconds, a signed 32-bit number that wraps; 0 before the first ping's answer. */
  get serverTimeMs() {
    return this.#clockOffsetMs === null ? 0 : (this.#options.now() + this.#clockOffsetMs) | 0;
  }

  /**
   * @returns {Promise<void>} fulfils when the server is ready for operations
   */
  async open() {
    const { url, timeoutMs } = this.#options;
    const socket = this.#createSocket();
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    // Browsers give no detail here, and the close event follows.
    socket.onerror = () => {};
    this.#openTimer = setTimeout(() => {
      this.#fail(new ConnectionError(`${url} did not answer within ${timeoutMs} ms`, { url, reason: 'timeout' }));
    }, timeoutMs);
    await new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
    });
  }

  #createSocket() {
    const { WebSocket, url } = this.#options;
    try {
      return new WebSocket(url, SUB_PROTOCOL);
    } catch (error) {
      // A malformed address, or a plain one on a page that came over https.
      throw new ConnectionError(`cannot connect to ${url}: ${error}`, { url, reason: 'unreachable' });
    }
  }

  /**
   * @param {number} code operation
   * @param {Parameters} parameters
   * @param {(response: Response) => void} [onResponse] runs before the next message is looked at, which the
   *   promise's own continuation does not
   * @returns {Promise<Response>} whatever its return code is
   */
  request(code, parameters, onResponse) {
    return new Promise((resolve, reject) => {
      // What cannot be sent must not wait for an answer.
      const bytes = this.#encodeRequest(code, parameters);
      const { timeoutMs } = this.#options;
      const timer = setTimeout(() => {
        // Stays in the queue, so that a late answer is not taken for the next request's.
        reject(new TimeoutError(code, timeoutMs));
      }, timeoutMs);
      const queue = this.#pending.get(code) ?? [];
      this.#pending.set(code, queue);
      queue.push({
        resolve: (response) => {
          clearTimeout(timer);
          onResponse?.(response);
          resolve(response);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#transmit(bytes);
    });
  }

  /**
   * Sends an operation without waiting for an answer.
   * @param {number} code
   * @param {Parameters} parameters
   */
  send(code, parameters) {
    this.#transmit(this.#encodeRequest(code, parameters));
  }

  /** Ends the connection; requests without an answer fail, and no callback is made any more. */
  close() {
    this.#end(new ConnectionError('this client closed the connection', { url: this.url, reason: 'closed' }));
  }

  /**
   * @param {number} code
   * @param {Parameters} parameters
   */
  #encodeRequest(code, parameters) {
    if (this.#socket === null) throw new ConnectionError('the connection is closed', { url: this.url, reason: 'closed' });
    return encodeMessage({ kind: 'request', code, parameters });
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes */
  #transmit(bytes) {
    this.#options.traffic.messagesOut += 1;
    this.#options.traffic.bytesOut += bytes.length;
    this.#socket?.send(bytes);
  }

  /** @param {unknown} data */
  #receive(data) {
    if (!(data instanceof ArrayBuffer)) return;
    this.#silentPings = 0;
    this.#options.traffic.messagesIn += 1;
    this.#options.traffic.bytesIn += data.byteLength;
    let message;
    try {
      message = decodeMessage(new Uint8Array(data));
    } catch (error) {
      this.#options.onBadMessage(/** @type {Error} */ (error));
      return;
    }
    this.#dispatch(message);
  }

  /** @param {Message} message */
  #dispatch(message) {
    switch (message.kind) {
      case 'connected': return this.#opened();
      case 'response': return this.#answer(message);
      case 'event': return this.#options.onEvent(message);
      case 'internalResponse': return message.code === PING ? this.#pong(message.parameters) : undefined;
      case 'disconnect': {
        const text = message.text === '' ? `code ${message.code}` : `${message.text} (code ${message.code})`;
        const details = { url: this.url, reason: /** @type {const} */ ('refused'), code: message.code };
        return this.#fail(new ConnectionError(`the server ends this connection: ${text}`, details));
      }
      default:
        return undefined;
    }
  }

  #opened() {
    const opening = this.#opening;
    if (opening === null) return;
    this.#opening = null;
    clearTimeout(this.#openTimer);
    this.#ping();
    opening.resolve(/** @type {any} */ (undefined));
  }

  /** @param {Response} response */
  #answer(response) {
    const pending = this.#pending.get(response.code)?.shift();
    if (pending === undefined) this.#options.onUnexpectedResponse(response);
    else pending.resolve(response);
  }

  #ping() {
    if (this.#silentPings >= MAX_SILENT_PINGS) {
      const message = `${this.url} was silent for ${(MAX_SILENT_PINGS * PING_INTERVAL_MS) / 1000} s`;
      this.#fail(new ConnectionError(message, { url: this.url, reason: 'timeout' }));
      return;
    }
    this.#silentPings += 1;
    this.#pingSentMs = this.#options.now();
    const parameters = new Map([[1, int(this.#pingSentMs | 0)]]);
    this.#transmit(encodeMessage({ kind: 'internalRequest', code: PING, parameters }));
    this.#pingTimer = setTimeout(() => this.#ping(), PING_INTERVAL_MS);
  }

  /** @param {Parameters} parameters */
  #pong(parameters) {
    const echoed = parameters.get(1);
    const serverMs = parameters.get(2);
    // The answer to an older ping says nothing exact.
    if (echoed !== (this.#pingSentMs | 0) || typeof serverMs !== 'number') return;
    const now = this.#options.now();
    this.roundTripMs = now - this.#pingSentMs;
    this.#bestRoundTripMs += PING_INTERVAL_MS * CLOCK_DRIFT;
    if (this.roundTripMs > this.#bestRoundTripMs) return;
    // The quickest round trip leaves the least doubt about when the server read its clock.
    this.#bestRoundTripMs = this.roundTripMs;
    this.#clockOffsetMs = serverMs + this.roundTripMs / 2 - now;
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    const { url } = this.#options;
    if (this.#opening !== null) {
      return this.#fail(new ConnectionError(`cannot connect to ${url}`, { url, reason: 'unreachable', code }));
    }
    const why = reason === '' ? `close code ${code}` : `${reason} (close code ${code})`;
    this.#fail(new ConnectionError(`lost the connection to ${url}: ${why}`, { url, reason: 'lost', code }));
  }

  /** @param {ConnectionError} error */
  #fail(error) {
    if (this.#end(error)) this.#options.onClose(error);
  }

  /**
   * @param {ConnectionError} error for everybody who waits
   * @returns {boolean} whether this call ended it
   */
  #end(error) {
    const socket = this.#socket;
    if (socket === null) return false;
    this.#socket = null;
    socket.onmessage = null;
    socket.onclose = null;
    clearTimeout(this.#openTimer);
    clearTimeout(this.#pingTimer);
    socket.close(NORMAL_CLOSURE, 'bye');
    const waiting = [...this.#pending.values()].flat();
    if (this.#opening !== null) waiting.push(this.#opening);
    this.#pending.clear();
    this.#opening = null;
    for (const { reject } of waiting) reject(error);
    return true;
  }
}

/** @returns {Traffic} */
export const noTraffic = () => ({ messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, eventsIn: 0, eventsOut: 0 });

/**
 * @param {string} address as a server gives it: with or without scheme, perhaps with a path
 * @param {{ secure: boolean, appId: string }} options `secure` decides where the address has no scheme
 * @returns {string} the address to open
 */
export function connectionUrl(address, { secure, appId }) {
  const withScheme = /^wss?:\/\//i.test(address) ? address : `${secure ? 'wss' : 'ws'}://${address}`;
  const query = new URLSearchParams({ libversion: '4.1.0.0', sid: '30', app: appId });
  return `${withScheme.replace(/\/+$/, '')}/?${query}`;
}

/**
 * @param {Parameters} parameters
 * @returns {number} the sender of an event; 0 is the server
 */
export function senderOf(parameters) {
  const sender = parameters.get(Parameter.actorNumber);
  return typeof sender === 'number' ? sender : 0;
}
