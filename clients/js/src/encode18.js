/**
 * Values to GpBinaryV18 bytes, in the shortest form the format has for each value.
 * @module
 */
import { Custom, Dictionary, Typed, checkInteger, describe } from './value.js';
import * as T from './types18.js';

/**
 * @typedef {import('./value.js').Value} Value
 * @typedef {import('./value.js').TypeName} TypeName
 */

/** Longest string in bytes of UTF-8: receivers refuse more. */
export const MAX_STRING_BYTES = 32767;
/** Deepest nesting that is written: what the other side reads. */
const MAX_DEPTH = 32;
const MIN_LONG = -(2n ** 63n);
const MAX_LONG = 2n ** 63n - 1n;

const utf8 = new TextEncoder();

/** A growing buffer for one message. */
export class Writer {
  #bytes = new Uint8Array(128);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #depth = 0;

  /** @returns {Uint8Array<ArrayBuffer>} what was written so far */
  finish() {
    return this.#bytes.slice(0, this.#length);
  }

  /** @param {number} value */
  writeByte(value) {
    const start = this.#grow(1);
    this.#view.setUint8(start, value);
  }

  /** @param {number} value its low 16 bits are written, whatever the sign */
  writeShort(value) {
    const start = this.#grow(2);
    this.#view.setInt16(start, value, true);
  }

  /**
   * @param {Value} value type byte first
   * @returns {void}
   */
  writeValue(value) {
    switch (typeof value) {
      case 'undefined': return this.writeByte(T.NULL);
      case 'boolean': return this.writeByte(value ? T.BOOL_TRUE : T.BOOL_FALSE);
      case 'number': return this.#typed('double', value);
      case 'bigint': return this.#typed('long', value);
      case 'string': return this.#typed('string', value);
      case 'object': return value === null ? this.writeByte(T.NULL) : this.#object(value);
      default: throw new TypeError(`expected a value that can be sent, got a ${typeof value}`);
    }
  }

  /** @param {ReadonlyMap<number, Value>} parameters the table of a message; entries that are undefined are left out */
  writeParameters(parameters) {
    const entries = [...parameters].filter(([, value]) => value !== undefined);
    this.writeByte(checkInteger('byte', entries.length));
    for (const [key, value] of entries) {
      this.writeByte(checkInteger('byte', key));
      this.writeValue(value);
    }
  }

  /**
   * @param {number} size
   * @returns {number} where to write
   */
  #grow(size) {
    const start = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return start;
  }

  /** @param {Uint8Array} bytes length first */
  #block(bytes) {
    this.#uvar32(bytes.length);
    const start = this.#grow(bytes.length);
    this.#bytes.set(bytes, start);
  }

  /** @param {number} value */
  #uvar32(value) {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.writeByte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.writeByte(rest);
  }

  /** @param {number} value */
  #float(value) {
    const start = this.#grow(4);
    this.#view.setFloat32(start, value, true);
  }

  /** @param {number} value */
  #double(value) {
    const start = this.#grow(8);
    this.#view.setFloat64(start, value, true);
  }

  /** @param {bigint} value */
  #zigzag64(value) {
    if (value < MIN_LONG || value > MAX_LONG) throw new RangeError(`expected a long of 64 bits, got ${value}`);
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    while (rest > 0x7fn) {
      this.writeByte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.writeByte(Number(rest));
  }

  /** @param {() => void} write */
  #nested(write) {
    if (this.#depth >= MAX_DEPTH) throw new RangeError(`expected at most ${MAX_DEPTH} levels of nesting`);
    this.#depth += 1;
    write();
    this.#depth -= 1;
  }

  /** @param {object} value */
  #object(value) {
    if (value instanceof Typed) return this.#typed(value.type, value.value);
    if (value instanceof Custom) return this.#custom(value);
    if (value instanceof Dictionary) return this.#typed(`dict<${value.keyType},${value.valueType}>`, value);
    const type = arrayType(value);
    if (type !== null) return this.#typed(type, /** @type {Value} */ (value));
    if (ArrayBuffer.isView(value)) throw new TypeError(`expected a value that can be sent, got ${describe(value)}`);
    return this.#typed('hashtable', /** @type {Value} */ (value));
  }

  /** @param {Custom} value */
  #custom({ code, bytes }) {
    checkInteger('byte', code);
    if (code < 100) {
      this.writeByte(T.CUSTOM_SLIM + code);
    } else {
      this.writeByte(T.CUSTOM);
      this.writeByte(code);
    }
    this.#block(bytes);
  }

  /**
   * Type byte and body; scalars have short forms here that they do not have as elements.
   * @param {TypeName} type
   * @param {Value} value
   * @returns {void}
   */
  #typed(type, value) {
    switch (type) {
      case 'bool': return this.writeValue(expectKind('boolean', value));
      case 'byte': return this.#zeroOr(34, 3, type, value);
      case 'short': return this.#zeroOr(29, 4, type, value);
      case 'int': return this.#int(checkInteger(type, value));
      case 'long': return this.#long(/** @type {bigint} */ (expectKind('bigint', value)));
      default:
        this.#typeHeader(type);
        return this.#body(type, value);
    }
  }

  /**
   * @param {number} zeroCode
   * @param {number} code
   * @param {TypeName} type
   * @param {Value} value
   */
  #zeroOr(zeroCode, code, type, value) {
    if (checkInteger(type, value) === 0) return this.writeByte(zeroCode);
    this.writeByte(code);
    this.#body(type, value);
  }

  /** @param {number} value */
  #int(value) {
    const size = Math.abs(value);
    const negative = value < 0 ? 1 : 0;
    if (size === 0) return this.writeByte(30);
    if (size <= 0xff) {
      this.writeByte(11 + negative);
      return this.writeByte(size);
    }
    if (size <= 0xffff) {
      this.writeByte(13 + negative);
      return this.writeShort(size);
    }
    this.writeByte(9);
    this.#body('int', value);
  }

  /** @param {bigint} value */
  #long(value) {
    const size = value < 0n ? -value : value;
    const negative = value < 0n ? 1 : 0;
    if (size === 0n) return this.writeByte(31);
    if (size <= 0xffn) {
      this.writeByte(15 + negative);
      return this.writeByte(Number(size));
    }
    if (size <= 0xffffn) {
      this.writeByte(17 + negative);
      return this.writeShort(Number(size));
    }
    this.writeByte(10);
    this.#zigzag64(value);
  }

  /**
   * The type byte, and for dictionaries and their arrays the declared types.
   * @param {TypeName} type
   * @returns {void}
   */
  #typeHeader(type) {
    const dictionary = T.dictionaryParts(type);
    if (dictionary !== null) {
      this.writeByte(T.DICTIONARY);
      return this.#dictionaryHeader(dictionary);
    }
    const element = elementType(type);
    const elements = element === null ? null : T.dictionaryParts(element);
    if (elements !== null) {
      this.writeByte(T.DICTIONARY_ARRAY);
      return this.#dictionaryHeader(elements);
    }
    this.writeByte(typeCode(type));
  }

  /**
   * @param {{ key: TypeName, value: TypeName }} types
   * @returns {void}
   */
  #dictionaryHeader({ key, value }) {
    if (!T.KEY_TYPES.has(key)) throw new TypeError(`expected a dictionary key type, got ${key}`);
    this.writeByte(typeCode(key));
    const inner = T.dictionaryParts(value);
    if (inner !== null) {
      this.writeByte(T.DICTIONARY);
      return this.#dictionaryHeader(inner);
    }
    let type = value;
    // object[][] has no header that a reader could tell from one more level.
    while (!(type in T.CODE_OF) && type.endsWith('[][]') && type !== 'object[][]') {
      this.writeByte(T.ARRAY_ARRAY);
      type = type.slice(0, -'[]'.length);
    }
    const code = T.CODE_OF[type];
    if (code === undefined) throw new TypeError(`expected a dictionary value type, got ${value}`);
    this.writeByte(code);
  }

  /**
   * @param {TypeName} type
   * @param {Value} wrapped
   * @returns {void}
   */
  #body(type, wrapped) {
    const value = wrapped instanceof Typed ? unwrap(type, wrapped) : wrapped;
    switch (type) {
      case 'object': return this.writeValue(wrapped);
      case 'bool': return this.writeByte(expectKind('boolean', value) ? 1 : 0);
      case 'byte': return this.writeByte(checkInteger(type, value));
      case 'short': return this.writeShort(checkInteger(type, value));
      case 'int': {
        const integer = checkInteger(type, value);
        return this.#uvar32((integer << 1) ^ (integer >> 31));
      }
      case 'long': return this.#zigzag64(/** @type {bigint} */ (expectKind('bigint', value)));
      case 'float': return this.#float(/** @type {number} */ (expectKind('number', value)));
      case 'double': return this.#double(/** @type {number} */ (expectKind('number', value)));
      case 'string': return this.#string(/** @type {string} */ (expectKind('string', value)));
      case 'hashtable': return this.#nested(() => this.#hashtable(value));
      case 'byte[]': return this.#block(expectBytes(value));
      case 'bool[]': return this.#bools(expectItems(type, value));
      default: return this.#nested(() => this.#container(type, value));
    }
  }

  /**
   * @param {TypeName} type
   * @param {Value} value
   * @returns {void}
   */
  #container(type, value) {
    const dictionary = T.dictionaryParts(type);
    if (dictionary !== null) return this.#dictionary(dictionary, value);
    const element = elementType(type);
    if (element === null) throw new TypeError(`expected a type name, got ${type}`);
    const items = expectItems(type, value);
    this.#uvar32(items.length);
    if (element.startsWith('custom:')) return this.#customItems(element, items);
    const elements = T.dictionaryParts(element);
    for (const item of items) {
      if (elements !== null) this.#dictionary(elements, item);
      else if (isArrayType(element)) this.#innerArray(element, item);
      else this.#body(element, item);
    }
  }

  /**
   * @param {TypeName} element `custom:` and the code all items share
   * @param {ArrayLike<Value> & Iterable<Value>} items
   */
  #customItems(element, items) {
    const code = checkInteger('byte', Number(element.slice('custom:'.length)));
    this.writeByte(code);
    for (const item of items) {
      if (!(item instanceof Custom) || item.code !== code) throw new TypeError(`expected ${element}, got ${describe(item)}`);
      this.#block(item.bytes);
    }
  }

  /**
   * @param {TypeName} element
   * @param {Value} item
   * @returns {void}
   */
  #innerArray(element, item) {
    if (item === null || item instanceof Typed || element === 'array') {
      const type = item instanceof Typed ? item.type : arrayType(item);
      if (item !== null && (type === null || elementType(type) === null)) {
        throw new TypeError(`expected an array, got ${describe(item)}`);
      }
      return this.writeValue(item);
    }
    this.#typed(element, item);
  }

  /** @param {string} value */
  #string(value) {
    const bytes = utf8.encode(value);
    if (bytes.length > MAX_STRING_BYTES) {
      throw new RangeError(`expected a string of at most ${MAX_STRING_BYTES} bytes, got ${bytes.length}`);
    }
    this.#block(bytes);
  }

  /** @param {ArrayLike<Value>} items */
  #bools(items) {
    const bits = new Uint8Array(Math.ceil(items.length / 8));
    for (let i = 0; i < items.length; i += 1) {
      if (expectKind('boolean', items[i])) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
    }
    this.#uvar32(items.length);
    const start = this.#grow(bits.length);
    this.#bytes.set(bits, start);
  }

  /** @param {Value} value */
  #hashtable(value) {
    const entries = value instanceof Map ? [...value] : Object.entries(expectObject(value));
    this.#uvar32(entries.length);
    for (const [key, entry] of entries) {
      this.writeValue(key);
      this.writeValue(entry);
    }
  }

  /**
   * @param {{ key: TypeName, value: TypeName }} types
   * @param {Value} value
   * @returns {void}
   */
  #dictionary(types, value) {
    if (!(value instanceof Map)) throw new TypeError(`expected a dictionary, got ${describe(value)}`);
    const inner = T.dictionaryParts(types.value);
    this.#uvar32(value.size);
    for (const [key, entry] of value) {
      this.#body(types.key, key);
      // A nested dictionary repeats its header in every entry.
      if (inner !== null) this.#dictionaryHeader(inner);
      else if (types.value.endsWith('[][]')) this.writeByte(T.ARRAY_ARRAY);
      this.#body(types.value, entry);
    }
  }
}

/**
 * @param {TypeName} type
 * @returns {TypeName | null} `int` for `int[]`
 */
function elementType(type) {
  return type.endsWith('[]') ? type.slice(0, -'[]'.length) : null;
}

/** @param {TypeName} type */
function isArrayType(type) {
  return type === 'array' || elementType(type) !== null;
}

/**
 * @param {TypeName} type
 * @returns {number} its type byte
 */
function typeCode(type) {
  const code = T.CODE_OF[type];
  if (code !== undefined) return code;
  const element = elementType(type);
  if (element !== null && element.startsWith('custom:')) return T.CUSTOM_ARRAY;
  if (element !== null && isArrayType(element)) return T.ARRAY_ARRAY;
  throw new TypeError(`expected a type name, got ${type}`);
}

/**
 * @param {Value | object} value
 * @returns {TypeName | null} the array type a JavaScript object stands for by itself
 */
function arrayType(value) {
  if (Array.isArray(value)) return 'object[]';
  if (value instanceof Uint8Array) return 'byte[]';
  if (value instanceof Int16Array) return 'short[]';
  if (value instanceof Int32Array) return 'int[]';
  if (value instanceof BigInt64Array) return 'long[]';
  if (value instanceof Float32Array) return 'float[]';
  if (value instanceof Float64Array) return 'double[]';
  return null;
}

/**
 * @param {TypeName} type
 * @param {Typed} wrapped
 */
function unwrap(type, wrapped) {
  const fits = type === 'object' || wrapped.type === type || (wrapped.type === 'array[]' && type.endsWith('[][]'));
  if (!fits) throw new TypeError(`expected ${type}, got ${wrapped.type}`);
  return wrapped.value;
}

/**
 * @param {'boolean' | 'number' | 'bigint' | 'string'} kind
 * @param {Value} value
 * @returns {Value}
 */
function expectKind(kind, value) {
  if (typeof value !== kind) throw new TypeError(`expected a ${kind}, got ${describe(value)}`);
  return value;
}

/**
 * @param {Value} value
 * @returns {Uint8Array}
 */
function expectBytes(value) {
  if (!(value instanceof Uint8Array)) throw new TypeError(`expected a Uint8Array, got ${describe(value)}`);
  return value;
}

/**
 * @param {TypeName} type
 * @param {Value} value
 * @returns {ArrayLike<Value> & Iterable<Value>}
 */
function expectItems(type, value) {
  if (arrayType(value) === null) throw new TypeError(`expected ${type}, got ${describe(value)}`);
  return /** @type {any} */ (value);
}

/**
 * @param {Value} value
 * @returns {{ [key: string]: Value }}
 */
function expectObject(value) {
  const prototype = value === null || typeof value !== 'object' ? undefined : Object.getPrototypeOf(value);
  // Only tables: an instance of some class has more to it than its fields.
  if (prototype !== null && prototype !== Object.prototype) {
    throw new TypeError(`expected a Map or a plain object, got ${describe(value)}`);
  }
  return /** @type {any} */ (value);
}

/**
 * @param {Value} value
 * @returns {Uint8Array<ArrayBuffer>} type byte first
 */
export function encodeValue(value) {
  const writer = new Writer();
  writer.writeValue(value);
  return writer.finish();
}
