/**
 * Everything of the page that is not the scene: its elements, and what they show.
 * @module
 */

/**
 * @typedef {import('/client/room.js').Room} Room
 * @typedef {import('/client/room.js').RoomInfo} RoomInfo
 * @typedef {import('/client/client.js').State} State
 *
 * @typedef {object} Actions
 * @property {() => void} wander
 * @property {(name: string) => void} create
 * @property {(name: string) => void} join
 * @property {() => void} leave
 * @property {() => void} startle
 * @property {() => Promise<boolean>} invite
 * @property {() => void} retry
 * @property {() => void} changeSelf
 */

const HUES = [48, 72, 110, 158, 192, 218, 275, 336];
const ADJECTIVES = ['Quiet', 'Amber', 'Dewy', 'Late', 'Soft', 'Wandering', 'Bright', 'Velvet', 'Humming', 'Shy'];
const NOUNS = ['Ember', 'Spark', 'Lantern', 'Glimmer', 'Moth', 'Wisp', 'Candle', 'Beetle', 'Flicker', 'Glow'];
const PLACES = ['Willow', 'Mill', 'Heron', 'Clover', 'Alder', 'Foxglove', 'Linden', 'Brook', 'Thistle', 'Barley'];
const GROUNDS = ['Hollow', 'Meadow', 'Bank', 'Field', 'Green', 'Dell', 'Heath', 'Glade'];
const STORAGE_KEY = 'lampyris-firefly';
const COPIED_MS = 1500;
/** Narrow windows show either the panel or the meadow well. */
const NARROW = '(max-width: 640px)';

/** @type {Record<State, string>} */
const STATE_TEXTS = {
  disconnected: 'not connected',
  connectingToNameServer: 'looking for the server',
  connectingToMaster: 'connecting',
  master: 'connected',
  findingRoom: 'looking for a meadow',
  connectingToGame: 'flying there',
  joined: 'in the meadow',
  leaving: 'leaving',
};

/** @param {readonly string[]} words */
const anyOf = (words) => words[Math.floor(Math.random() * words.length)] ?? '';

/**
 * @template {HTMLElement} E
 * @param {string} id
 * @param {new () => E} type
 * @returns {E}
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`expected an element #${id} of type ${type.name}`);
  return found;
}

export class Panel {
  /** @type {{ name: string, hue: number }} the visitor's own firefly */
  self;
  stage = element('stage', HTMLElement);
  layers = {
    sky: element('sky', HTMLCanvasElement),
    lights: element('lights', HTMLCanvasElement),
    grassBack: element('grass-back', HTMLCanvasElement),
    grassFront: element('grass-front', HTMLCanvasElement),
  };
  #actions;
  #panel = element('panel', HTMLDetailsElement);
  #isReady = false;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.self = remembered();
    this.#offerSelf();
    on('wander', 'click', () => actions.wander());
    on('leave', 'click', () => actions.leave());
    on('startle', 'click', () => actions.startle());
    on('notice-retry', 'click', () => {
      this.hideNotice();
      actions.retry();
    });
    on('invite', 'click', async () => {
      if (await actions.invite()) this.#showCopied();
    });
    on('create', 'submit', (event) => {
      event.preventDefault();
      const input = element('meadow-name', HTMLInputElement);
      actions.create(input.value.trim() || this.inventMeadowName());
      input.value = '';
    });
  }

  inventMeadowName() {
    return `${anyOf(PLACES)} ${anyOf(GROUNDS)} ${Math.floor(Math.random() * 90) + 10}`;
  }

  /** @param {State} state */
  showState(state) {
    const status = element('status', HTMLElement);
    status.textContent = STATE_TEXTS[state];
    status.dataset.state = state;
    this.#isReady = state === 'master';
    for (const button of document.querySelectorAll('#outside button:not([data-full])')) {
      /** @type {HTMLButtonElement} */ (button).disabled = !this.#isReady;
    }
  }

  /** @param {ReadonlyMap<string, RoomInfo>} rooms */
  showMeadows(rooms) {
    const sorted = [...rooms.values()].sort((a, b) => b.playerCount - a.playerCount || a.name.localeCompare(b.name));
    element('meadows', HTMLUListElement).replaceChildren(...sorted.map((room) => this.#meadowItem(room)));
    element('no-meadows', HTMLElement).hidden = sorted.length > 0;
  }

  /**
   * @param {Room | null} room
   * @param {readonly { name: string, hue: number, isSelf: boolean }[]} fireflies
   */
  showRoom(room, fireflies) {
    const inside = element('inside', HTMLElement);
    const entered = inside.hidden && room !== null;
    inside.hidden = room === null;
    element('outside', HTMLElement).hidden = room !== null;
    element('panel-title', HTMLElement).textContent = room === null ? 'Meadows' : `${room.name} · ${fireflies.length}`;
    element('fireflies', HTMLUListElement).replaceChildren(...fireflies.map(fireflyItem));
    if (entered && window.matchMedia(NARROW).matches) this.#panel.open = false;
    if (room === null) this.#panel.open = true;
  }

  /** @param {{ roundTripMs: number, eventsOut: number, eventsIn: number, order: number }} statistics per second */
  showStatistics({ roundTripMs, eventsOut, eventsIn, order }) {
    const exact = roundTripMs < 10 ? roundTripMs.toFixed(1) : roundTripMs.toFixed(0);
    element('rtt', HTMLElement).textContent = roundTripMs > 0 ? exact : '–';
    element('out', HTMLElement).textContent = String(eventsOut);
    element('in', HTMLElement).textContent = String(eventsIn);
    element('order', HTMLMeterElement).value = order;
  }

  /** @param {{ text: string, link: string | null }} notice */
  showNotice({ text, link }) {
    element('notice', HTMLElement).hidden = false;
    element('notice-text', HTMLElement).textContent = text;
    const anchor = element('notice-link', HTMLAnchorElement);
    anchor.hidden = link === null;
    anchor.href = link ?? '';
    const connected = element('status', HTMLElement).dataset.state !== 'disconnected';
    element('notice-retry', HTMLButtonElement).textContent = connected ? 'All right' : 'Try again';
  }

  hideNotice() {
    element('notice', HTMLElement).hidden = true;
  }

  #showCopied() {
    const button = element('invite', HTMLButtonElement);
    button.textContent = 'Copied';
    setTimeout(() => {
      button.textContent = 'Copy link';
    }, COPIED_MS);
  }

  #offerSelf() {
    const name = element('nickname', HTMLInputElement);
    name.value = this.self.name;
    name.addEventListener('change', () => this.#changeSelf({ name: name.value.trim() || inventName() }));
    const colours = HUES.map((hue) => {
      const choice = document.createElement('input');
      choice.type = 'radio';
      choice.name = 'hue';
      choice.className = 'colour';
      choice.checked = hue === this.self.hue;
      choice.ariaLabel = `hue ${hue}`;
      choice.style.setProperty('--hue', String(hue));
      choice.addEventListener('change', () => this.#changeSelf({ hue }));
      return choice;
    });
    element('colours', HTMLFieldSetElement).append(...colours);
  }

  /** @param {{ name?: string, hue?: number }} change */
  #changeSelf(change) {
    this.self = { ...this.self, ...change };
    remember(this.self);
    element('nickname', HTMLInputElement).value = this.self.name;
    this.#actions.changeSelf();
  }

  /** @param {RoomInfo} room */
  #meadowItem(room) {
    const count = room.maxPlayers > 0 ? `${room.playerCount}/${room.maxPlayers}` : String(room.playerCount);
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = room.isFull ? 'Full' : 'Join';
    if (room.isFull || !room.isOpen) button.dataset.full = '';
    button.disabled = room.isFull || !room.isOpen || !this.#isReady;
    button.addEventListener('click', () => this.#actions.join(room.name));
    return item(span('name', room.name), span('count', count), button);
  }
}

/** @param {{ name: string, hue: number, isSelf: boolean }} firefly */
function fireflyItem({ name, hue, isSelf }) {
  const dot = span('dot', '');
  dot.style.setProperty('--hue', String(hue));
  return item(dot, span('name', name || 'A nameless one'), span('count', isSelf ? 'you' : ''));
}

/** @param {HTMLElement[]} children */
function item(...children) {
  const li = document.createElement('li');
  li.append(...children);
  return li;
}

/**
 * @param {string} className
 * @param {string} text
 */
function span(className, text) {
  const created = document.createElement('span');
  created.className = className;
  created.textContent = text;
  return created;
}

/**
 * @param {string} id
 * @param {string} type
 * @param {(event: Event) => void} listener
 */
function on(id, type, listener) {
  element(id, HTMLElement).addEventListener(type, listener);
}

const inventName = () => `${anyOf(ADJECTIVES)} ${anyOf(NOUNS)}`;

/** @returns {{ name: string, hue: number }} the firefly of the last visit, or a new one */
function remembered() {
  const invented = { name: inventName(), hue: HUES[Math.floor(Math.random() * HUES.length)] ?? 72 };
  try {
    const { name, hue } = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '{}');
    return {
      name: typeof name === 'string' && name !== '' ? name : invented.name,
      hue: HUES.includes(hue) ? hue : invented.hue,
    };
  } catch {
    // Storage may be switched off.
    return invented;
  }
}

/** @param {{ name: string, hue: number }} self */
function remember(self) {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(self));
  } catch {
    // The next visit then begins with another name.
  }
}
