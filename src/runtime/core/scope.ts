/**
 * Resources that stand or fall together. Each goes in the moment it exists; `dispose` undoes them in reverse
 * order, goes on past a failing one, and is safe to call twice. (Node 20 has no AsyncDisposableStack.)
 */
export class Scope implements AsyncDisposable {
  #undo: Array<() => Promise<void> | void> = [];

  defer(undo: () => Promise<void> | void): void {
    this.#undo.push(undo);
  }

  async dispose(): Promise<void> {
    const undo = this.#undo.reverse();
    this.#undo = [];
    const failures: unknown[] = [];
    for (const step of undo) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'some resources could not be released');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
