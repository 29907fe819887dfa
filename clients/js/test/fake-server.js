/** Servers in memory: a WebSocket constructor whose other end is a script. */
import { decodeMessage, encodeMessage } from '../src/message.js';

/**
 * `scripts` maps a port to `{ operationCode: (request, socket) => answer }`. An answer is a list of
 * `[key, value]` for return code 0, `{ returnCode, text }` for a refusal, or undefined for none.
 */
export function fakeNetwork(scripts, { serverMs = () => 0 } = {}) {
  const sockets = [];
  class FakeWebSocket {
    constructor(url, protocol) {
      this.url = url;
      this.protocol = protocol;
      this.port = new URL(url).port;
      this.requests = [];
      this.pings = 0;
      this.isClosed = false;
      sockets.push(this);
      const script = scripts[this.port];
      queueMicrotask(() => {
        if (script === undefined) this.drop(1006);
        else if (script.silent !== true) this.say({ kind: 'connected' });
      });
    }

    send(bytes) {
      const message = decodeMessage(bytes, { exact: true });
      if (message.kind === 'internalRequest') {
        this.pings += 1;
        if (scripts[this.port].deaf === true) return;
        const parameters = new Map([...message.parameters, [2, serverMs()]]);
        this.say({ kind: 'internalResponse', code: message.code, returnCode: 0, text: '', parameters });
        return;
      }
      this.requests.push(message);
      const answer = scripts[this.port][message.code]?.(message, this);
      if (answer !== undefined) this.answer(message.code, answer);
    }

    /** In one go, as when several frames come in one packet. */
    answer(code, answer) {
      const refused = !Array.isArray(answer);
      this.say({
        kind: 'response',
        code,
        returnCode: refused ? answer.returnCode : 0,
        text: refused ? answer.text : '',
        parameters: new Map(refused ? [] : answer),
      });
    }

    raise(code, entries) {
      this.say({ kind: 'event', code, parameters: new Map(entries) });
    }

    say(message) {
      this.sayBytes(encodeMessage(message));
    }

    sayBytes(bytes) {
      if (!this.isClosed) this.onmessage?.({ data: bytes.buffer });
    }

    drop(code, reason = '') {
      this.isClosed = true;
      this.onclose?.({ code, reason });
    }

    close(code) {
      this.isClosed = true;
      this.closeCode = code;
    }

    /** Parameters of the last request with this code. */
    last(code) {
      return this.requests.findLast((request) => request.code === code)?.parameters;
    }
  }
  return { WebSocket: FakeWebSocket, sockets, latest: () => sockets.at(-1) };
}
