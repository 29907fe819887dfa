/**
 * The still parts of the scene: sky, hills and grass, painted once for each size of the window.
 * @module
 */

/**
 * The same landscape at each visit, so that resizing does not shuffle it.
 * @param {number} seed
 * @returns {() => number} 0 to 1
 */
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 */
export function paintSky(context, width, height) {
  const random = seeded(7);
  const sky = context.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, '#050817');
  sky.addColorStop(0.38, '#0b1733');
  sky.addColorStop(0.62, '#15324a');
  sky.addColorStop(0.74, '#2a5358');
  sky.addColorStop(1, '#0a1a1c');
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  paintStars(context, width, height, random);
  paintMoon(context, width * 0.6, height * 0.17, Math.min(width, height) * 0.034);
  paintHills(context, width, height, random);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 * @param {() => number} random
 */
function paintStars(context, width, height, random) {
  const count = Math.round((width * height) / 2200);
  for (let i = 0; i < count; i += 1) {
    // Half of them gather along a band across the sky.
    const x = random();
    const spread = (random() + random() + random() - 1.5) * 0.22;
    const y = i % 2 === 0 ? random() * 0.66 : 0.46 - 0.4 * x + spread;
    const brightness = random() ** 3;
    if (y > 0.68) continue;
    context.globalAlpha = (0.2 + 0.8 * brightness) * (1 - y / 0.75);
    context.fillStyle = random() < 0.2 ? '#ffe9c4' : '#dfe9ff';
    const size = 0.7 + brightness * 1.2;
    context.fillRect(x * width, y * height, size, size);
  }
  context.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 */
function paintMoon(context, x, y, radius) {
  const reach = radius * 8;
  const halo = context.createRadialGradient(x, y, radius * 0.4, x, y, reach);
  halo.addColorStop(0, 'rgb(205 222 255 / 0.2)');
  halo.addColorStop(0.25, 'rgb(205 222 255 / 0.07)');
  halo.addColorStop(1, 'rgb(205 222 255 / 0)');
  context.fillStyle = halo;
  context.fillRect(x - reach, y - reach, reach * 2, reach * 2);
  context.save();
  context.translate(x, y);
  context.rotate(0.45);
  context.fillStyle = '#f3f1df';
  context.beginPath();
  context.arc(0, 0, radius, -Math.PI / 2, Math.PI / 2);
  context.ellipse(0, 0, radius * 0.55, radius, 0, Math.PI / 2, -Math.PI / 2, true);
  context.fill();
  context.restore();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 * @param {() => number} random
 */
function paintHills(context, width, height, random) {
  const ridges = [
    { base: 0.7, wave: 0.035, trees: 0, color: '#17383f' },
    { base: 0.745, wave: 0.025, trees: 0.045, color: '#0f2a30' },
    { base: 0.8, wave: 0.03, trees: 0, color: '#0b2023' },
  ];
  for (const { base, wave, trees, color } of ridges) {
    const shift = random() * 10;
    context.fillStyle = color;
    context.beginPath();
    context.moveTo(0, height);
    for (let x = 0; x <= width + 3; x += 3) {
      const u = (x / Math.max(width, 900)) * 6 + shift;
      const ridge = base + wave * (Math.sin(u) * 0.6 + Math.sin(u * 2.3 + 1) * 0.3);
      const crowns = trees * Math.max(0, Math.sin(u * 1.7)) * (0.35 + 0.65 * random());
      context.lineTo(x, (ridge - crowns) * height);
    }
    context.lineTo(width, height);
    context.fill();
    const mist = context.createLinearGradient(0, base * height, 0, (base + 0.1) * height);
    mist.addColorStop(0, 'rgb(120 178 172 / 0)');
    mist.addColorStop(0.6, 'rgb(120 178 172 / 0.06)');
    mist.addColorStop(1, 'rgb(120 178 172 / 0)');
    context.fillStyle = mist;
    context.fillRect(0, base * height, width, height * 0.1);
  }
  const ground = context.createLinearGradient(0, height * 0.82, 0, height);
  ground.addColorStop(0, 'rgb(6 18 18 / 0)');
  ground.addColorStop(1, 'rgb(4 11 12 / 1)');
  context.fillStyle = ground;
  context.fillRect(0, height * 0.82, width, height * 0.18);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 * @param {{ seed: number, color: string, bladeHeight: number, spacing: number }} options
 */
export function paintGrass(context, width, height, { seed, color, bladeHeight, spacing }) {
  const random = seeded(seed);
  context.clearRect(0, 0, width, height);
  context.fillStyle = color;
  context.strokeStyle = color;
  for (let x = -20; x < width + 20; x += spacing * (0.4 + random())) {
    const clump = 0.55 + 0.45 * Math.sin(x / 70 + seed) * Math.sin(x / 31);
    const tall = height * bladeHeight * (0.35 + 0.65 * random()) * (0.6 + 0.4 * clump);
    const lean = (random() - 0.5) * tall * 0.7;
    paintBlade(context, x, height, tall, lean, 1.6 + random() * 2.2);
    if (random() < 0.035) paintUmbel(context, x, height, tall * 1.45, lean * 0.35, random);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} ground
 * @param {number} tall
 * @param {number} lean
 * @param {number} thick
 */
function paintBlade(context, x, ground, tall, lean, thick) {
  context.beginPath();
  context.moveTo(x - thick, ground);
  context.quadraticCurveTo(x - thick * 0.4 + lean * 0.1, ground - tall * 0.6, x + lean, ground - tall);
  context.quadraticCurveTo(x + thick * 0.9 + lean * 0.2, ground - tall * 0.5, x + thick, ground);
  context.fill();
}

/**
 * A flower like wild carrot: a stem and an umbrella of small heads.
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} ground
 * @param {number} tall
 * @param {number} lean
 * @param {() => number} random
 */
function paintUmbel(context, x, ground, tall, lean, random) {
  const topX = x + lean;
  const topY = ground - tall;
  context.lineWidth = 1.3;
  context.beginPath();
  context.moveTo(x, ground);
  context.quadraticCurveTo(x, ground - tall * 0.6, topX, topY);
  context.stroke();
  const reach = 9 + random() * 9;
  context.lineWidth = 0.8;
  for (let ray = 0; ray < 9; ray += 1) {
    const angle = Math.PI * (1.15 + (0.7 * ray) / 8);
    const headX = topX + Math.cos(angle) * reach;
    const headY = topY + Math.sin(angle) * reach * 0.75;
    context.beginPath();
    context.moveTo(topX, topY);
    context.lineTo(headX, headY);
    context.stroke();
    context.beginPath();
    context.arc(headX, headY, 1.4 + random(), 0, 2 * Math.PI);
    context.fill();
  }
}
