/**
 * GpBinaryV18 bytes to values. Little-endian; counts are varints of at most 5 bytes.
 *
 * Every count is checked against the bytes that are left before anything is built from it, and nesting ends at
 * {@link MAX_DEPTH}, so hostile bytes cost no more than their own length.
 * @module
 */
import { Custom, Dictionary, Typed } from './value.js';
import * as T from './types18.js';

/**
 * @typedef {import('./value.js').Value} Value
 * @typedef {import('./value.js').TypeName} TypeName
 */

/** Deepest nesting of containers that is read. */
export const MAX_DEPTH = 32;

/** The bytes are not what the format allows. */
export class DecodeError extends Error {
  /**
   * @param {string} message
   * @param {number} offset
   */
  constructor(message, offset) {
    super(`${message} at byte ${offset}`);
    this.name = 'DecodeError';
    this.offset = offset;
  }
}

const text = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * A dictionary's declared types: names for the reader of the value, codes for reading the entries.
 * @typedef {{ keyCode: number, keyType: TypeName, value: DeclaredType }} DictionaryHeader
 * @typedef {{ code: number, type: TypeName, levels: number }} DeclaredType
 */

/** A checked cursor over one message. */
export class Reader {
  #bytes;
  #view;
  #offset = 0;
  #depth = 0;
  #exact;

  /**
   * @param {Uint8Array} bytes
   * @param {{ exact?: boolean }} [options] `exact` keeps the wire type of every number and array as {@link Typed},
   *   so that encoding gives the same bytes again
   */
  constructor(bytes, { exact = false } = {}) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#exact = exact;
  }

  get remaining() {
    return this.#bytes.length - this.#offset;
  }

  /** Refuses bytes behind the end of a message. */
  finish() {
    if (this.remaining > 0) this.#fail(`expected the end, got ${this.remaining} more bytes`);
  }

  /** @returns {number} */
  readByte() {
    return this.#view.getUint8(this.#take(1));
  }

  /** @returns {number} */
  readShort() {
    return this.#view.getInt16(this.#take(2), true);
  }

  /** @returns {Value} one value with its type byte in front */
  readValue() {
    return this.#body(this.readByte());
  }

  /** @returns {Map<number, Value>} the parameter table of a message */
  readParameters() {
    const count = this.readByte();
    /** @type {Map<number, Value>} */
    const parameters = new Map();
    for (let i = 0; i < count; i += 1) {
      const key = this.readByte();
      if (parameters.has(key)) this.#fail(`expected each parameter once, got ${key} twice`);
      parameters.set(key, this.readValue());
    }
    return parameters;
  }

  /**
   * @param {string} message
   * @returns {never}
   */
  #fail(message) {
    throw new DecodeError(message, this.#offset);
  }

  /**
   * @param {number} size
   * @returns {number} where the bytes start
   */
  #take(size) {
    if (size > this.remaining) this.#fail(`expected ${size} bytes, got ${this.remaining}`);
    const start = this.#offset;
    this.#offset += size;
    return start;
  }

  /** @param {number} size a copy: a view would keep the whole message alive */
  #copy(size) {
    const start = this.#take(size);
    return this.#bytes.slice(start, start + size);
  }

  #uvar32() {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const part = this.readByte();
      if (shift === 28 && part > 0x0f) this.#fail('expected a varint of at most 32 bits');
      value += (part & 0x7f) * 2 ** shift;
      if (part < 0x80) return value;
    }
    return this.#fail('expected a varint of at most 5 bytes');
  }

  #zigzag32() {
    const value = this.#uvar32();
    return (value >>> 1) ^ -(value & 1);
  }

  #zigzag64() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const part = this.readByte();
      if (shift === 63n && part > 1) this.#fail('expected a varint of at most 64 bits');
      value |= BigInt(part & 0x7f) << shift;
      if (part < 0x80) return (value >> 1n) ^ -(value & 1n);
    }
    return this.#fail('expected a varint of at most 10 bytes');
  }

  /**
   * @param {number} bytesPerElement fewest bytes an element can take
   * @returns {number} a count that the rest of the message can hold
   */
  #count(bytesPerElement) {
    const count = this.#uvar32();
    if (Math.ceil(count * bytesPerElement) > this.remaining) {
      this.#fail(`expected at most ${this.remaining} bytes of elements, got a count of ${count}`);
    }
    return count;
  }

  #string() {
    const size = this.#count(1);
    const start = this.#take(size);
    return text.decode(this.#bytes.subarray(start, start + size));
  }

  /**
   * @template R
   * @param {() => R} read
   * @returns {R}
   */
  #nested(read) {
    if (this.#depth >= MAX_DEPTH) this.#fail(`expected at most ${MAX_DEPTH} levels of nesting`);
    this.#depth += 1;
    const result = read();
    this.#depth -= 1;
    return result;
  }

  /**
   * @param {TypeName} type
   * @param {Value} value
   * @returns {Value}
   */
  #as(type, value) {
    return this.#exact ? new Typed(type, value) : value;
  }

  /**
   * @param {number} code type byte
   * @returns {Value} the value that follows it
   */
  #body(code) {
    if (code >= T.CUSTOM_SLIM && code <= T.CUSTOM_SLIM_LAST) return this.#custom(code - T.CUSTOM_SLIM);
    switch (code) {
      case T.NULL: return null;
      case 2: return this.readByte() !== 0;
      case T.BOOL_FALSE: return false;
      case T.BOOL_TRUE: return true;
      case 3: return this.#as('byte', this.readByte());
      case 34: return this.#as('byte', 0);
      case 4: return this.#as('short', this.readShort());
      case 29: return this.#as('short', 0);
      case 5: return this.#as('float', this.#view.getFloat32(this.#take(4), true));
      case 32: return this.#as('float', 0);
      case 6: return this.#as('double', this.#view.getFloat64(this.#take(8), true));
      case 33: return this.#as('double', 0);
      case 7: return this.#string();
      case 9: return this.#as('int', this.#zigzag32());
      case 11: return this.#as('int', this.readByte());
      case 12: return this.#as('int', 0 - this.readByte());
      case 13: return this.#as('int', this.#view.getUint16(this.#take(2), true));
      case 14: return this.#as('int', 0 - this.#view.getUint16(this.#take(2), true));
      case 30: return this.#as('int', 0);
      case 10: return this.#as('long', this.#zigzag64());
      case 15: return this.#as('long', BigInt(this.readByte()));
      case 16: return this.#as('long', -BigInt(this.readByte()));
      case 17: return this.#as('long', BigInt(this.#view.getUint16(this.#take(2), true)));
      case 18: return this.#as('long', -BigInt(this.#view.getUint16(this.#take(2), true)));
      case 31: return this.#as('long', 0n);
      case T.CUSTOM: return this.#custom(this.readByte());
      case T.DICTIONARY: return this.#nested(() => this.#dictionary(this.#dictionaryHeader()));
      case T.HASHTABLE: return this.#nested(() => this.#hashtable());
      default: return this.#array(code);
    }
  }

  /** @param {number} code */
  #custom(code) {
    return new Custom(code, this.#copy(this.#count(1)));
  }

  /**
   * @param {number} code type byte of an array
   * @returns {Value}
   */
  #array(code) {
    switch (code) {
      case 66: return this.#as('bool[]', this.#bools());
      case T.BYTE_ARRAY: return this.#copy(this.#count(1));
      case 68: return Int16Array.from({ length: this.#count(2) }, () => this.readShort());
      case 69: return Float32Array.from({ length: this.#count(4) }, () => this.#view.getFloat32(this.#take(4), true));
      case 70: return Float64Array.from({ length: this.#count(8) }, () => this.#view.getFloat64(this.#take(8), true));
      case 71: return this.#as('string[]', this.#times(this.#count(1), () => this.#string()));
      case 73: return Int32Array.from({ length: this.#count(1) }, () => this.#zigzag32());
      case 74: return BigInt64Array.from({ length: this.#count(1) }, () => this.#zigzag64());
      case T.OBJECT_ARRAY: return this.#nested(() => this.#times(this.#count(1), () => this.readValue()));
      case T.ARRAY_ARRAY: return this.#nested(() => this.#arrayOfArrays());
      case T.CUSTOM_ARRAY: return this.#customArray();
      case T.DICTIONARY_ARRAY: return this.#nested(() => this.#dictionaryArray());
      case T.HASHTABLE_ARRAY:
        return this.#nested(() => this.#as('hashtable[]', this.#times(this.#count(1), () => this.#hashtable())));
      default: return this.#fail(`expected a type byte, got ${code}`);
    }
  }

  /**
   * @template R
   * @param {number} count
   * @param {() => R} read
   * @returns {R[]}
   */
  #times(count, read) {
    return Array.from({ length: count }, read);
  }

  /** @returns {boolean[]} */
  #bools() {
    const count = this.#count(1 / 8);
    const start = this.#take(Math.ceil(count / 8));
    return Array.from({ length: count }, (_, i) => ((this.#bytes[start + (i >> 3)] ?? 0) & (1 << (i & 7))) !== 0);
  }

  #customArray() {
    const count = this.#count(1);
    const code = this.readByte();
    return this.#as(`custom:${code}[]`, this.#times(count, () => this.#custom(code)));
  }

  /** @returns {Value} */
  #arrayOfArrays() {
    const count = this.#count(1);
    let elementCode = T.NULL;
    const elements = this.#times(count, () => {
      const code = this.readByte();
      if (code === T.NULL) return null;
      if (elementCode === T.NULL) elementCode = code;
      if (code !== elementCode) this.#fail(`expected arrays of type ${elementCode}, got ${code}`);
      return this.#array(code);
    });
    return this.#as('array[]', elements);
  }

  /** @returns {DictionaryHeader} */
  #dictionaryHeader() {
    const keyCode = this.readByte();
    const keyType = T.NAME_OF.get(keyCode);
    if (keyType === undefined || !T.KEY_TYPES.has(keyType)) this.#fail(`expected a dictionary key type, got ${keyCode}`);
    return { keyCode, keyType, value: this.#nested(() => this.#declaredType()) };
  }

  /** @returns {DeclaredType} */
  #declaredType() {
    const code = this.readByte();
    if (code === T.DICTIONARY) {
      const { keyType, value } = this.#dictionaryHeader();
      return { code, type: `dict<${keyType},${value.type}>`, levels: 0 };
    }
    let levels = 0;
    let inner = code;
    while (inner === T.ARRAY_ARRAY) {
      levels += 1;
      inner = this.readByte();
    }
    const type = T.NAME_OF.get(inner);
    if (type === undefined || (levels > 0 && (!type.endsWith('[]') || levels >= MAX_DEPTH))) {
      this.#fail(`expected a dictionary value type, got ${inner}`);
    }
    return { code, type: type + '[]'.repeat(levels), levels };
  }

  /**
   * @param {DeclaredType} declared
   * @returns {Value}
   */
  #declaredValue({ code, levels }) {
    if (code === 0) return this.readValue();
    if (levels > 0) {
      const element = this.readByte();
      if (element !== T.ARRAY_ARRAY) this.#fail(`expected an array of arrays, got type ${element}`);
    }
    return this.#body(code);
  }

  /** @param {DictionaryHeader} header */
  #dictionary({ keyCode, keyType, value }) {
    const dictionary = new Dictionary(keyType, value.type);
    const keys = new Set();
    const count = this.#count(keyCode === 0 ? 2 : 1 / 8);
    for (let i = 0; i < count; i += 1) {
      const key = this.#key(keyCode);
      if (key === null) this.#fail('expected a dictionary key, got null');
      const identity = identityOf(key);
      if (keys.has(identity)) this.#fail('expected each dictionary key once');
      keys.add(identity);
      dictionary.set(this.#plainUnlessExact(key), this.#declaredValue(value));
    }
    return dictionary;
  }

  #dictionaryArray() {
    const header = this.#dictionaryHeader();
    const elements = this.#times(this.#count(1), () => this.#dictionary(header));
    return this.#as(`dict<${header.keyType},${header.value.type}>[]`, elements);
  }

  /** @returns {Map<Value, Value>} */
  #hashtable() {
    /** @type {Map<Value, Value>} */
    const table = new Map();
    /** @type {Map<Value, Value>} */
    const seen = new Map();
    const count = this.#count(2);
    for (let i = 0; i < count; i += 1) {
      const key = this.#key(0);
      const value = this.readValue();
      if (key === null) continue;
      const identity = identityOf(key);
      const known = seen.get(identity) ?? key;
      seen.set(identity, known);
      table.set(this.#plainUnlessExact(known), value);
    }
    return table;
  }

  /**
   * Reads a key with its wire type, because byte 1 and int 1 are different keys.
   * @param {number} code declared type, 0 = typed
   */
  #key(code) {
    const exact = this.#exact;
    this.#exact = true;
    const key = code === 0 ? this.readValue() : this.#body(code);
    this.#exact = exact;
    return key;
  }

  /** @param {Value} key */
  #plainUnlessExact(key) {
    return !this.#exact && key instanceof Typed ? key.value : key;
  }
}

/**
 * @param {Value} key
 * @returns {Value} equal for equal keys of the same wire type
 */
function identityOf(key) {
  return key instanceof Typed && typeof key.value !== 'object' ? `${key.type} ${key.value}` : key;
}

/**
 * @param {Uint8Array} bytes exactly one value, type byte first
 * @param {{ exact?: boolean }} [options] see {@link Reader}
 * @returns {Value}
 */
export function decodeValue(bytes, options) {
  const reader = new Reader(bytes, options);
  const value = reader.readValue();
  reader.finish();
  return value;
}
