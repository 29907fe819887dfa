/**
 * Messages: what one WebSocket frame carries.
 *
 * | offset | size | content                                        |
 * |--------|------|------------------------------------------------|
 * | 0      | 1    | magic `F3`                                     |
 * | 1      | 1    | type in bits 0..6, bit 7 = encrypted (refused) |
 * | 2      |      | body                                           |
 *
 * Bodies: requests and events are a code byte and a parameter table; responses have a 16-bit return code and a
 * text between the two.
 * @module
 */
import { DecodeError, Reader } from './decode18.js';
import { Writer } from './encode18.js';

/**
 * @typedef {import('./value.js').Value} Value
 * @typedef {ReadonlyMap<number, Value>} Parameters
 * @typedef {{ kind: 'connected' }} Connected the server is ready for operations
 * @typedef {{ kind: 'request' | 'internalRequest', code: number, parameters: Parameters }} Request
 * @typedef {{ kind: 'response' | 'internalResponse', code: number, returnCode: number, text: string,
 *   parameters: Parameters }} Response
 * @typedef {{ kind: 'event', code: number, parameters: Parameters }} EventMessage
 * @typedef {{ kind: 'disconnect', code: number, text: string, parameters: Parameters }} DisconnectMessage
 * @typedef {Connected | Request | Response | EventMessage | DisconnectMessage} Message
 */

const MAGIC = 0xf3;
const ENCRYPTED = 0x80;

/** Code of the internal operation that measures time. */
export const PING = 1;

/** @type {ReadonlyMap<number, Message['kind']>} */
const KINDS = new Map([
  [1, 'connected'],
  [2, 'request'],
  [3, 'response'],
  [4, 'event'],
  [5, 'disconnect'],
  [6, 'internalRequest'],
  [7, 'internalResponse'],
]);
const TYPES = new Map([...KINDS].map(([type, kind]) => [kind, type]));

/**
 * @param {Uint8Array} bytes one whole message
 * @param {{ exact?: boolean }} [options] see {@link Reader}
 * @returns {Message}
 */
export function decodeMessage(bytes, options) {
  const reader = new Reader(bytes, options);
  const magic = reader.readByte();
  if (magic !== MAGIC) throw new DecodeError(`expected magic ${MAGIC}, got ${magic}`, 0);
  const type = reader.readByte();
  if (type & ENCRYPTED) throw new DecodeError('expected a plain message, got an encrypted one', 1);
  const kind = KINDS.get(type);
  if (kind === undefined) throw new DecodeError(`expected a message type, got ${type}`, 1);
  // The rest of this message has no meaning, and servers differ in it.
  if (kind === 'connected') return { kind };
  const message = decodeBody(kind, reader);
  reader.finish();
  return message;
}

/**
 * @param {Exclude<Message['kind'], 'connected'>} kind
 * @param {Reader} reader
 * @returns {Message}
 */
export function decodeBody(kind, reader) {
  switch (kind) {
    case 'request':
    case 'internalRequest':
    case 'event':
      return { kind, code: reader.readByte(), parameters: reader.readParameters() };
    case 'response':
    case 'internalResponse':
      return {
        kind,
        code: reader.readByte(),
        returnCode: reader.readShort(),
        text: readText(reader),
        parameters: reader.readParameters(),
      };
    case 'disconnect':
      return { kind, code: reader.readShort(), text: readText(reader), parameters: reader.readParameters() };
  }
}

/** @param {Reader} reader */
function readText(reader) {
  const text = reader.readValue();
  return typeof text === 'string' ? text : '';
}

/**
 * @param {Message} message
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeMessage(message) {
  const writer = new Writer();
  writer.writeByte(MAGIC);
  writer.writeByte(/** @type {number} */ (TYPES.get(message.kind)));
  if (message.kind === 'connected') {
    writer.writeByte(0);
  } else {
    encodeBody(message, writer);
  }
  return writer.finish();
}

/**
 * @param {Exclude<Message, Connected>} message
 * @param {Writer} writer
 */
export function encodeBody(message, writer) {
  if (message.kind === 'disconnect') {
    writer.writeShort(message.code);
  } else {
    writer.writeByte(message.code);
  }
  if ('returnCode' in message) writer.writeShort(message.returnCode);
  // An empty text is written as null, as clients do.
  if ('text' in message) writer.writeValue(message.text === '' ? null : message.text);
  writer.writeParameters(message.parameters);
}
