import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { DecodeError, MAX_DEPTH, Reader, decodeValue } from '../src/decode18.js';
import { MAX_STRING_BYTES, Writer, encodeValue } from '../src/encode18.js';
import { decodeBody, decodeMessage, encodeBody, encodeMessage } from '../src/message.js';
import { inspect } from 'node:util';
import { Custom, Dictionary, Typed, bools, byte, double, float, int, long, short, strings } from '../src/value.js';

const vectors = JSON.parse(readFileSync(new URL('../../../vectors/gpbinary18.json', import.meta.url), 'utf8'));
const fromHex = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const toHex = (bytes) => Buffer.from(bytes).toString('hex');

const KINDS = { 'operation-request': 'request', 'operation-response': 'response', event: 'event' };

/** Reads a vector's value the way the `exact` decoder shows it. */
function build(value) {
  const { t, v } = value;
  const items = () => (value.repeat ? Array(value.repeat.n).fill(value.repeat.v) : v);
  const scalar = {
    null: () => null,
    bool: () => v,
    string: () => value.repeat ? v ?? value.repeat.v.repeat(value.repeat.n) : v,
    byte: () => byte(v),
    short: () => short(v),
    int: () => int(v),
    long: () => long(v),
    float: () => float(floatOf(value.bits)),
    double: () => double(doubleOf(value.bits)),
    'byte[]': () => value.repeat ? new Uint8Array(value.repeat.n).fill(value.repeat.v) : fromHex(value.hex),
    'bool[]': () => bools(items()),
    'short[]': () => Int16Array.from(items()),
    'int[]': () => Int32Array.from(items()),
    'long[]': () => BigInt64Array.from(items(), (item) => BigInt(item)),
    'float[]': () => Float32Array.from(items(), (item) => floatOf(item.slice(2))),
    'double[]': () => Float64Array.from(items(), (item) => doubleOf(item.slice(2))),
    'string[]': () => strings(items()),
    'object[]': () => items().map(build),
    hashtable: () => new Map(v.map(([key, item]) => [build(key), build(item)])),
    'hashtable[]': () => new Typed(t, v.map(build)),
    dict: () => new Dictionary(value.k, value.vt, v.map(([key, item]) => [build(key), build(item)])),
    custom: () => new Custom(value.code, fromHex(value.hex)),
    'custom[]': () => new Typed(`custom:${value.code}[]`, v.map((hex) => new Custom(value.code, fromHex(hex)))),
  }[t];
  if (scalar) return scalar();
  if (t.startsWith('dict<') && t.endsWith('>[]')) return new Typed(t, v.map(build));
  if (t.endsWith('[]')) return new Typed('array[]', v.map(build));
  throw new Error(`unknown vector type ${t}`);
}

const floatOf = (bits) => new DataView(fromHex(bits).buffer).getFloat32(0);
const doubleOf = (bits) => new DataView(fromHex(bits).buffer).getFloat64(0);

const buildMessage = (value) => ({
  kind: KINDS[value.t],
  code: value.op ?? value.code,
  ...(value.t === 'operation-response' && { returnCode: value.return, text: value.debug ?? '' }),
  parameters: new Map(value.params.map(([key, item]) => [key, build(item)])),
});

/** Whole messages used as values: no client sends them, so they are refused. */
const nestsMessages = (vector) =>
  vector.name === 'op-request-nested-as-value' || (vector.use === 'decode-only' && /^(18|19|1a)/.test(vector.hex));

/** A NaN's payload is not kept by JavaScript, so bytes of NaN cannot be compared. */
const hasNaN = (value) => inspect(value, { depth: null, maxArrayLength: null }).includes('NaN');

describe('golden vectors', () => {
  for (const vector of vectors) {
    const kind = KINDS[vector.value?.t];
    test(`${vector.use} ${vector.name}`, () => {
      const bytes = fromHex(vector.hex);
      if (vector.use.startsWith('reject') || nestsMessages(vector)) {
        assert.throws(() => (vector.use === 'both' ? decodeBody(kind, new Reader(bytes)) : decodeValue(bytes)), DecodeError);
        return;
      }
      const expected = kind ? buildMessage(vector.value) : build(vector.value);
      const reader = new Reader(bytes, { exact: true });
      const decoded = kind ? decodeBody(kind, reader) : reader.readValue();
      reader.finish();
      assert.deepEqual(decoded, expected);

      const canonical = vector.canonical_hex ?? (vector.use === 'both' ? vector.hex : null);
      if (canonical === null || hasNaN(expected)) return;
      for (const value of [expected, decoded]) {
        const writer = new Writer();
        if (kind) encodeBody(value, writer);
        else writer.writeValue(value);
        assert.equal(toHex(writer.finish()), canonical);
      }
    });
  }
});
