/**
 * Type bytes of GpBinaryV18 and the headers of its dictionaries.
 * @module
 */
/** @typedef {import('./value.js').TypeName} TypeName */

export const NULL = 8;
export const BOOL_FALSE = 27;
export const BOOL_TRUE = 28;
export const CUSTOM = 19;
export const DICTIONARY = 20;
export const HASHTABLE = 21;
export const OBJECT_ARRAY = 23;
export const ARRAY_ARRAY = 64;
export const BYTE_ARRAY = 67;
export const CUSTOM_ARRAY = 83;
export const DICTIONARY_ARRAY = 84;
export const HASHTABLE_ARRAY = 85;
/** Custom types with codes 0 to 100 fold the code into the type byte: 128 + code. */
export const CUSTOM_SLIM = 128;
/** Highest slim type byte a reader takes. Writers stop one earlier, at code 99. */
export const CUSTOM_SLIM_LAST = 228;

/**
 * Types that may stand in the header of a dictionary, by name.
 * @type {Readonly<Record<string, number>>}
 */
export const CODE_OF = {
  object: 0,
  bool: 2,
  byte: 3,
  short: 4,
  float: 5,
  double: 6,
  string: 7,
  int: 9,
  long: 10,
  hashtable: HASHTABLE,
  'object[]': OBJECT_ARRAY,
  'bool[]': 66,
  'byte[]': BYTE_ARRAY,
  'short[]': 68,
  'float[]': 69,
  'double[]': 70,
  'string[]': 71,
  'int[]': 73,
  'long[]': 74,
  'hashtable[]': HASHTABLE_ARRAY,
};

/** @type {ReadonlyMap<number, TypeName>} */
export const NAME_OF = new Map([
  ...Object.entries(CODE_OF).map(([name, code]) => /** @type {const} */ ([code, name])),
  // Short forms: readers take them as aliases of the declared type.
  ...[11, 12, 13, 14, 30].map((code) => /** @type {const} */ ([code, 'int'])),
  ...[15, 16, 17, 18, 31].map((code) => /** @type {const} */ ([code, 'long'])),
  ...[BOOL_FALSE, BOOL_TRUE].map((code) => /** @type {const} */ ([code, 'bool'])),
  /** @type {const} */ ([29, 'short']),
  /** @type {const} */ ([32, 'float']),
  /** @type {const} */ ([33, 'double']),
  /** @type {const} */ ([34, 'byte']),
]);

/** Key types of a dictionary, by name. */
export const KEY_TYPES = new Set(['object', 'bool', 'byte', 'short', 'int', 'long', 'float', 'double', 'string']);

/**
 * @param {TypeName} type
 * @returns {{ key: TypeName, value: TypeName } | null} the parts of `dict<key,value>`, null for any other type
 */
export function dictionaryParts(type) {
  if (!type.startsWith('dict<') || !type.endsWith('>')) return null;
  const inner = type.slice('dict<'.length, -1);
  const comma = inner.indexOf(',');
  return { key: inner.slice(0, comma), value: inner.slice(comma + 1) };
}

/**
 * Fewest bytes an element can take, for checking a count before anything is read.
 * @type {ReadonlyMap<number, number>}
 */
export const FIXED_SIZE = new Map([
  [3, 1],
  [4, 2],
  [5, 4],
  [6, 8],
]);
