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

describe('values', () => {
  const roundTrip = (value) => decodeValue(encodeValue(value));

  test('plain numbers are doubles, bigints are longs, and both come back as they were', () => {
    assert.equal(toHex(encodeValue(5)), '060000000000001440');
    assert.equal(toHex(encodeValue(5n)), '0f05');
    assert.equal(roundTrip(5), 5);
    assert.equal(roundTrip(5n), 5n);
    assert.equal(roundTrip(int(-70000)), -70000);
  });

  test('objects and maps become hashtables, arrays object arrays', () => {
    const sent = { name: 'ann', list: [true, null, byte(3)], inner: new Map([[byte(255), 'x']]) };
    const expected = new Map([['name', 'ann'], ['list', [true, null, 3]], ['inner', new Map([[255, 'x']])]]);
    assert.deepEqual(roundTrip(sent), expected);
  });

  test('what does not fit its type is refused before it is sent', () => {
    assert.throws(() => byte(256), RangeError);
    assert.throws(() => int(1.5), RangeError);
    assert.throws(() => encodeValue(2n ** 63n), RangeError);
    assert.throws(() => encodeValue(() => 0), TypeError);
    assert.throws(() => encodeValue(new Date()), TypeError);
    assert.throws(() => encodeValue(new Uint16Array(1)), TypeError);
    assert.throws(() => encodeValue(new Dictionary('int', 'string', [[int(1), null]])), TypeError);
    assert.throws(() => encodeValue(new Dictionary('int', 'object[][]')), TypeError);
    assert.equal(encodeValue('x'.repeat(MAX_STRING_BYTES)).length, MAX_STRING_BYTES + 4);
    assert.throws(() => encodeValue('x'.repeat(MAX_STRING_BYTES + 1)), RangeError);
  });

  test('nesting is read and written to its limit and no further', () => {
    const nested = (levels) => fromHex('1701'.repeat(levels) + '08');
    const deep = decodeValue(nested(MAX_DEPTH));
    assert.equal(toHex(encodeValue(deep)), toHex(nested(MAX_DEPTH)));
    assert.throws(() => decodeValue(nested(MAX_DEPTH + 1)), DecodeError);
    assert.throws(() => encodeValue([deep]), RangeError);
    assert.throws(() => decodeValue(fromHex('14' + '0914'.repeat(MAX_DEPTH + 1))), DecodeError);
    assert.throws(() => decodeValue(fromHex('1409' + '40'.repeat(100000) + '49')), DecodeError);
  });

  test('every golden value that is cut short is refused', () => {
    for (const vector of vectors.filter(({ use, value, hex }) => use === 'both' && !KINDS[value.t] && hex.length < 400)) {
      const bytes = fromHex(vector.hex);
      for (let length = 0; length < bytes.length; length += 1) {
        assert.throws(() => decodeValue(bytes.subarray(0, length)), DecodeError, `${vector.name} cut to ${length}`);
      }
    }
  });
});

describe('messages', () => {
  test('have magic and type in front and nothing behind', () => {
    const request = { kind: 'request', code: 253, parameters: new Map([[244, byte(1)], [245, undefined]]) };
    assert.equal(toHex(encodeMessage(request)), 'f302fd01f40301');
    assert.deepEqual(decodeMessage(fromHex('f302fd01f40301')), { kind: 'request', code: 253, parameters: new Map([[244, 1]]) });
    assert.throws(() => decodeMessage(fromHex('f302fd01f4030100')), DecodeError);
    assert.throws(() => decodeMessage(fromHex('f202fd00')), DecodeError);
    assert.throws(() => decodeMessage(fromHex('f382fd00')), DecodeError);
    assert.throws(() => decodeMessage(fromHex('f302fd02f40301f40301')), DecodeError);
  });

  test('a goodbye of the server is read as real servers send it', () => {
    const goodbye = decodeMessage(fromHex('f3056a00070362796500'));
    assert.deepEqual(goodbye, { kind: 'disconnect', code: 106, text: 'bye', parameters: new Map() });
  });

  test('the pings of a real client are reproduced byte for byte', () => {
    const ping = { kind: 'internalRequest', code: 1, parameters: new Map([[1, int(0x0a13)]]) };
    assert.equal(toHex(encodeMessage(ping)), 'f3060101010d130a');
  });
});
