import { cleanLine } from '../../core/untrusted-text.ts';
import type { WalkNotes } from './safe-walk-loader.ts';

const MAX_NAMED = 20;

/** What a scan did not look at, in a bounded number of words. */
export class ScanNotes {
  readonly #named: string[] = [];
  #unnamed = 0;
  #links = 0;
  #special = 0;

  /** Of one directory. */
  below(directory: string): WalkNotes {
    return {
      onSkipped: (path, why) => this.add(`${cleanLine(`${directory}/${path}`, 300)} ${why}`),
      onLink: () => void this.#links++,
      onSpecial: () => void this.#special++,
    };
  }

  add(words: string): void {
    if (this.#named.length < MAX_NAMED) this.#named.push(words);
    else this.#unnamed++;
  }

  get words(): readonly string[] {
    return [
      ...this.#named,
      ...(this.#unnamed === 0 ? [] : [`and ${this.#unnamed} more places`]),
      ...(this.#links === 0 ? [] : [`links, which are not followed: ${this.#links}`]),
      ...(this.#special === 0 ? [] : [`pipes, sockets or devices: ${this.#special}`]),
    ];
  }
}
