/**
 * Draws the meadow: still layers behind and before, and the fireflies between them on each frame.
 * @module
 */
import { paintGrass, paintSky, seeded } from './landscape.js';

/** @typedef {import('./swarm.js').Swarm} Swarm */
/** @typedef {import('./swarm.js').Firefly} Firefly */
/** @typedef {{ hue: number, name: string }} Look */

/** More pixels than this cost battery and show nothing. */
const MAX_PIXEL_RATIO = 2;
const TRAIL_LENGTH = 22;
const SPRITE_SIZE = 128;
const RIPPLE_SECONDS = 1.6;
const SELF_KEY = 0;

/** @type {Look} */
const WILD_LOOK = { hue: 66, name: '' };

/** Stars that twinkle, in parts of the window. */
const random = seeded(23);
const TWINKLING = Array.from({ length: 16 }, () => ({ x: random(), y: random() * 0.5, speed: 0.4 + random() }));

/**
 * A quick rise and a slow fall, as the insects do it.
 * @param {number} phase
 */
export function brightnessAt(phase) {
  const distance = phase < 0.5 ? phase : phase - 1;
  return distance < 0 ? Math.exp(-((distance / 0.06) ** 2)) : Math.exp(-((distance / 0.2) ** 2));
}

export class Meadow {
  #still;
  #context;
  #width = 1;
  #height = 1;
  /** @type {Map<number, HTMLCanvasElement>} by hue */
  #sprites = new Map();
  /** @type {Map<number, { x: number, y: number }[]>} by actor number */
  #trails = new Map();
  /** @type {{ x: number, y: number, hue: number, age: number }[]} */
  #ripples = [];
  #seconds = 0;

  /**
   * @param {{ sky: HTMLCanvasElement, lights: HTMLCanvasElement, grassBack: HTMLCanvasElement,
   *   grassFront: HTMLCanvasElement }} layers
   * @param {MediaQueryList} calm matches if the visitor asked for less motion
   */
  constructor(layers, calm) {
    this.#still = layers;
    this.#context = contextOf(layers.lights);
    this.calm = calm;
    this.resize();
  }

  resize() {
    const ratio = Math.min(window.devicePixelRatio, MAX_PIXEL_RATIO);
    this.#width = window.innerWidth;
    this.#height = window.innerHeight;
    const { sky, lights, grassBack, grassFront } = this.#still;
    for (const canvas of [sky, lights, grassBack, grassFront]) {
      canvas.width = Math.round(this.#width * ratio);
      canvas.height = Math.round(this.#height * ratio);
      contextOf(canvas).setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    paintSky(contextOf(sky), this.#width, this.#height);
    const back = { seed: 3, color: '#0a1d1c', bladeHeight: 0.2, spacing: 4.5 };
    const front = { seed: 11, color: '#030909', bladeHeight: 0.155, spacing: 5.5 };
    paintGrass(contextOf(grassBack), this.#width, this.#height, back);
    paintGrass(contextOf(grassFront), this.#width, this.#height, front);
  }

  /**
   * @param {{ x: number, y: number }} at
   * @param {number} hue
   */
  ripple({ x, y }, hue) {
    if (!this.calm.matches) this.#ripples.push({ x, y, hue, age: 0 });
  }

  /**
   * @param {number} seconds since the last frame
   * @param {Swarm} swarm
   * @param {Look} self
   * @param {(actor: number) => Look} lookOf
   */
  draw(seconds, swarm, self, lookOf) {
    this.#seconds += seconds;
    const context = this.#context;
    context.clearRect(0, 0, this.#width, this.#height);
    context.globalCompositeOperation = 'lighter';
    if (!this.calm.matches) this.#drawTwinkling();
    swarm.wild.forEach((firefly, i) => this.#drawWild(firefly, i));
    for (const key of this.#trails.keys()) {
      if (key !== SELF_KEY && !swarm.visitors.has(key)) this.#trails.delete(key);
    }
    for (const [actor, visitor] of swarm.visitors) this.#drawVisitor(actor, visitor, lookOf(actor));
    this.#drawVisitor(SELF_KEY, swarm.self, self);
    this.#drawRipples(seconds);
    context.globalCompositeOperation = 'source-over';
    context.globalAlpha = 1;
  }

  #drawTwinkling() {
    const context = this.#context;
    context.fillStyle = '#ffffff';
    for (const { x, y, speed } of TWINKLING) {
      context.globalAlpha = 0.35 + 0.35 * Math.sin(this.#seconds * speed * 2 + x * 40);
      context.fillRect(x * this.#width, y * this.#height, 1.6, 1.6);
    }
  }

  /**
   * @param {Firefly} firefly
   * @param {number} i
   */
  #drawWild(firefly, i) {
    const drift = this.calm.matches ? 0 : this.#seconds * 0.05;
    const x = firefly.x + 0.03 * Math.sin(drift * 3 + i * 2.1);
    const y = 0.52 + firefly.y * 0.42 + 0.02 * Math.sin(drift * 4 + i * 1.3);
    const light = this.#light(firefly.phase);
    // The further away, the smaller and the higher on the ground.
    const size = 5 + 13 * firefly.y;
    this.#drawLight(WILD_LOOK.hue + (i % 4) * 5, x * this.#width, y * this.#height, size * (0.7 + light), 0.06 + 0.5 * light);
  }

  /**
   * @param {number} key
   * @param {Firefly} firefly
   * @param {Look} look
   */
  #drawVisitor(key, firefly, look) {
    const bob = this.calm.matches ? 0 : 1;
    const x = firefly.x * this.#width + bob * 5 * Math.sin(this.#seconds * 1.7 + key * 2.4);
    const y = firefly.y * this.#height + bob * 4 * Math.sin(this.#seconds * 2.3 + key * 1.1);
    const light = this.#light(firefly.phase);
    this.#drawTrail(key, x, y, look.hue, light);
    const size = Math.min(64, 30 + this.#width * 0.02);
    this.#drawLight(look.hue, x, y, size * (1.1 + 1.9 * light), 0.2 + 0.42 * light);
    this.#drawLight(look.hue, x, y, size * (0.34 + 0.16 * light), 0.75 + 0.25 * light);
    this.#drawName(look, x, y + size * 0.45, key === SELF_KEY);
  }

  /**
   * @param {number} key
   * @param {number} x
   * @param {number} y
   * @param {number} hue
   * @param {number} light
   */
  #drawTrail(key, x, y, hue, light) {
    if (this.calm.matches) return;
    const trail = [...(this.#trails.get(key) ?? []), { x, y }].slice(-TRAIL_LENGTH);
    this.#trails.set(key, trail);
    trail.forEach((point, i) => {
      const age = 1 - (i + 1) / trail.length;
      this.#drawLight(hue, point.x, point.y, 15 * (1 - 0.7 * age), (0.035 + 0.05 * light) * (1 - age));
    });
  }

  /**
   * @param {Look} look
   * @param {number} x
   * @param {number} y
   * @param {boolean} isSelf
   */
  #drawName({ hue, name }, x, y, isSelf) {
    const context = this.#context;
    context.globalAlpha = isSelf ? 0.85 : 0.6;
    context.fillStyle = `hsl(${hue} 70% 85%)`;
    context.font = '500 12px system-ui, sans-serif';
    context.textAlign = 'center';
    context.fillText(name, x, y + 10);
  }

  /** @param {number} seconds */
  #drawRipples(seconds) {
    const context = this.#context;
    for (const ripple of this.#ripples) {
      ripple.age += seconds / RIPPLE_SECONDS;
      context.globalAlpha = 0.5 * Math.max(0, 1 - ripple.age) ** 2;
      context.strokeStyle = `hsl(${ripple.hue} 90% 75%)`;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(ripple.x * this.#width, ripple.y * this.#height, 20 + ripple.age * this.#width * 0.5, 0, 2 * Math.PI);
      context.stroke();
    }
    this.#ripples = this.#ripples.filter(({ age }) => age < 1);
  }

  /**
   * @param {number} phase
   * @returns {number} softer where less motion was asked for
   */
  #light(phase) {
    return this.calm.matches ? 0.45 + 0.2 * Math.cos(2 * Math.PI * phase) : brightnessAt(phase);
  }

  /**
   * @param {number} hue
   * @param {number} x
   * @param {number} y
   * @param {number} radius
   * @param {number} alpha
   */
  #drawLight(hue, x, y, radius, alpha) {
    this.#context.globalAlpha = Math.min(1, alpha);
    this.#context.drawImage(this.#sprite(hue), x - radius, y - radius, radius * 2, radius * 2);
  }

  /** @param {number} hue */
  #sprite(hue) {
    const known = this.#sprites.get(hue);
    if (known !== undefined) return known;
    const canvas = document.createElement('canvas');
    canvas.width = SPRITE_SIZE;
    canvas.height = SPRITE_SIZE;
    const context = contextOf(canvas);
    const middle = SPRITE_SIZE / 2;
    const glow = context.createRadialGradient(middle, middle, 0, middle, middle, middle);
    glow.addColorStop(0, `hsl(${hue} 100% 96%)`);
    glow.addColorStop(0.12, `hsl(${hue} 100% 80% / 0.95)`);
    glow.addColorStop(0.3, `hsl(${hue} 95% 62% / 0.42)`);
    glow.addColorStop(0.6, `hsl(${hue} 90% 52% / 0.12)`);
    glow.addColorStop(1, `hsl(${hue} 90% 45% / 0)`);
    context.fillStyle = glow;
    context.fillRect(0, 0, SPRITE_SIZE, SPRITE_SIZE);
    this.#sprites.set(hue, canvas);
    return canvas;
  }
}

/** @param {HTMLCanvasElement} canvas */
function contextOf(canvas) {
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('this browser has no 2D canvas');
  return context;
}
