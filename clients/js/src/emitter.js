/**
 * @template {{ [Name in keyof Events]: (...values: any[]) => void }} Events names and the signatures of their listeners
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(...values: any[]) => void>>} */
  #listeners = new Map();

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} listener
   * @returns {() => void} stops listening
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Parameters<Events[Name]>} values
   */
  emit(name, ...values) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(...values);
      } catch (error) {
        // A listener's mistake must reach the page's error handler, but not stop the protocol.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
