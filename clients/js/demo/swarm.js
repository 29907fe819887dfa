/**
 * The fireflies of a meadow: where each one is, and where in its flashing it is.
 *
 * Each visitor's page lets its own firefly flash and tells the others its phase, together with the server's
 * time at which it was there. Everybody else carries the phase on from that, and one's own firefly is drawn
 * towards the phases it sees (the model of Kuramoto). Nobody gives the beat; after some seconds all share one.
 * @module
 */

/**
 * @typedef {object} Firefly
 * @property {number} x 0 to 1 across the meadow
 * @property {number} y 0 to 1 from top to bottom
 * @property {number} phase 0 to 1; it flashes at 0
 * @property {number} rateHz flashes per second, as drawn by the others
 *
 * @typedef {Firefly & { ownRateHz: number, weight: number }} Flasher one that this page lets flash
 * @typedef {{ timeMs: number, x: number, y: number }} Sample
 * @typedef {Firefly & { samples: Sample[], phaseTimeMs: number }} Visitor another page's firefly
 */

/** How hard the seen phases pull, in cycles per second: well above the spread of the own rates. */
const COUPLING_HZ = 0.11;
/** Longer steps than this would overshoot. */
const MAX_PULL_SECONDS = 1;
const RATE_HZ = 0.5;
const RATE_SPREAD = 0.12;
/** Wild fireflies live on one page only, so they follow more than they lead. */
const WILD_WEIGHT = 0.12;
/** Positions are shown this much late, so that there mostly is a next one to move towards. */
const SHOWN_LATE_MS = 120;
/** A time further off than this comes from a clock not yet set, or from a liar. */
const MAX_SAMPLE_AGE_MS = 3000;
const MAX_SAMPLES = 8;
/** Positions and phases travel as integers. */
const UNITS = 10000;

/** @param {number} value */
const fraction = (value) => value - Math.floor(value);

/** @param {number} value */
const clamp = (value) => Math.min(1, Math.max(0, value));

/**
 * @param {() => number} random
 * @param {number} weight
 * @returns {Flasher}
 */
function flasher(random, weight) {
  const ownRateHz = RATE_HZ * (1 + RATE_SPREAD * (random() - 0.5));
  return { x: random(), y: 0.3 + 0.5 * random(), phase: random(), rateHz: ownRateHz, ownRateHz, weight };
}

export class Swarm {
  /** @type {Map<number, Visitor>} by actor number */
  visitors = new Map();

  /**
   * @param {number} wildCount
   * @param {() => number} [random]
   */
  constructor(wildCount, random = Math.random) {
    this.random = random;
    this.self = flasher(random, 1);
    this.wild = Array.from({ length: wildCount }, () => flasher(random, WILD_WEIGHT));
  }

  /**
   * @param {number} seconds since the last call
   * @param {number} timeMs the server's clock
   */
  advance(seconds, timeMs) {
    for (const visitor of this.visitors.values()) carryOn(visitor, timeMs);
    const own = [this.self, ...this.wild];
    // All to the same moment first: a hidden tab takes long steps, and must not compare its past to their present.
    for (const firefly of own) firefly.phase = fraction(firefly.phase + firefly.ownRateHz * seconds);
    const field = this.#field();
    for (const firefly of own) {
      const angle = 2 * Math.PI * firefly.phase;
      const pull = COUPLING_HZ * (field.y * Math.cos(angle) - field.x * Math.sin(angle));
      firefly.rateHz = firefly.ownRateHz + pull;
      firefly.phase = fraction(firefly.phase + pull * Math.min(seconds, MAX_PULL_SECONDS));
    }
  }

  /** Everybody loses the beat. */
  startle() {
    for (const firefly of [this.self, ...this.wild]) firefly.phase = this.random();
  }

  /** How much the visitors are in step, 0 to 1; a visitor alone is measured against the wild ones. */
  get order() {
    const field = this.visitors.size > 0 ? mean([this.self, ...this.visitors.values()]) : this.#field();
    return Math.hypot(field.x, field.y);
  }

  /**
   * @param {number} timeMs the server's clock
   * @returns {Int32Array} what the others need to know of this page's firefly
   */
  report(timeMs) {
    const { x, y, phase, rateHz } = this.self;
    return Int32Array.of(timeMs, x * UNITS, y * UNITS, phase * UNITS, rateHz * 1000);
  }

  /**
   * @param {number} actor
   * @param {unknown} report of another page
   * @param {number} nowMs the server's clock
   */
  receive(actor, report, nowMs) {
    if (!(report instanceof Int32Array) || report.length !== 5) return;
    const [sentMs = 0, x = 0, y = 0, phase = 0, rate = 0] = report;
    const timeMs = Math.abs((nowMs - sentMs) | 0) > MAX_SAMPLE_AGE_MS ? nowMs : sentMs;
    const sample = { timeMs, x: clamp(x / UNITS), y: clamp(y / UNITS) };
    const samples = [...(this.visitors.get(actor)?.samples ?? []), sample].slice(-MAX_SAMPLES);
    const rateHz = Math.min(2 * RATE_HZ, Math.max(0, rate / 1000));
    const visitor = { ...sample, samples, phase: fraction(phase / UNITS), phaseTimeMs: timeMs, rateHz };
    carryOn(visitor, nowMs);
    this.visitors.set(actor, visitor);
  }

  #field() {
    return mean([this.self, ...this.wild, ...this.visitors.values()]);
  }
}

/**
 * @param {(Firefly & { weight?: number })[]} fireflies
 * @returns {{ x: number, y: number }} their mean flash, as a vector
 */
function mean(fireflies) {
  let x = 0;
  let y = 0;
  let weights = 0;
  for (const { phase, weight = 1 } of fireflies) {
    x += weight * Math.cos(2 * Math.PI * phase);
    y += weight * Math.sin(2 * Math.PI * phase);
    weights += weight;
  }
  return { x: x / weights, y: y / weights };
}

/**
 * Moves another page's firefly to now: phase by its rate, position between the two reports around it.
 * @param {Visitor} visitor
 * @param {number} nowMs
 */
function carryOn(visitor, nowMs) {
  visitor.phase = fraction(visitor.phase + (visitor.rateHz * ((nowMs - visitor.phaseTimeMs) | 0)) / 1000);
  visitor.phaseTimeMs = nowMs;
  const shownMs = nowMs - SHOWN_LATE_MS;
  const next = visitor.samples.findIndex(({ timeMs }) => ((timeMs - shownMs) | 0) > 0);
  const to = visitor.samples.at(next);
  const from = visitor.samples[next - 1] ?? to;
  if (from === undefined || to === undefined) return;
  const span = (to.timeMs - from.timeMs) | 0;
  const part = next > 0 && span > 0 ? clamp(((shownMs - from.timeMs) | 0) / span) : 1;
  visitor.x = from.x + (to.x - from.x) * part;
  visitor.y = from.y + (to.y - from.y) * part;
}
