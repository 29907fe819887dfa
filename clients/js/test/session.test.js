import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeMessage, encodeMessage } from '../src/message.js';

/** In front of each message on TCP; a WebSocket frame has none. */
const TCP_HEADER_BYTES = 7;
const KINDS = new Set(['operationRequest', 'operationResponse', 'event', 'internalOperationRequest', 'internalOperationResponse']);

test('every plain message of a whole session of real clients is read, and written back byte for byte', () => {
  const session = JSON.parse(readFileSync(new URL('../../../vectors/session-v18-tcp.json', import.meta.url), 'utf8'));
  const plain = session.steps.filter(({ hex, message }) => hex && KINDS.has(message?.kind) && !message.encrypted);
  assert.ok(plain.length > 30, `only ${plain.length} messages`);
  for (const { hex, message } of plain) {
    const bytes = Uint8Array.from(Buffer.from(hex, 'hex')).subarray(TCP_HEADER_BYTES);
    const decoded = decodeMessage(bytes, { exact: true });
    assert.equal(decoded.code, message.code);
    assert.deepEqual([...decoded.parameters.keys()], message.params.map(([key]) => key));
    assert.equal(Buffer.from(encodeMessage(decoded)).toString('hex'), Buffer.from(bytes).toString('hex'), message.name);
  }
});
