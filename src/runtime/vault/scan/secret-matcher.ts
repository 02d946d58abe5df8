import { createHmac, randomBytes } from 'node:crypto';
import type { Secret } from '../../core/secret.ts';
import { formsOf, SHORTEST_SECRET } from './secret-forms.ts';

export interface Find {
  readonly provider: string;
  /** Of its first byte, from where the search began. */
  readonly offset: number;
}

interface Candidate {
  readonly provider: string;
  readonly length: number;
  readonly digest: Buffer;
}

/** Bytes that are hashed while a text goes by: the last ones of a secret, for its first ones are often its vendor's. */
const WINDOW = SHORTEST_SECRET;
const FILTER_BITS = 16;

/**
 * Looks for many secrets in one pass, and holds none of them: of each it keeps the length, a hash of its last bytes
 * that can be rolled along a text (keyed by random numbers of this matcher), and an HMAC-SHA256 of the whole.
 */
export class SecretMatcher {
  /** Providers with a secret that is too short to be looked for. */
  readonly leftOut: readonly string[];
  readonly #key = randomBytes(32);
  readonly #numbers = randomNumbers();
  readonly #multiplier = randomBytes(4).readUInt32LE() | 1;
  readonly #outgoing: Int32Array;
  /** Tells most bytes at once that nothing ends at them. */
  readonly #filter = new Uint8Array(1 << FILTER_BITS);
  readonly #candidates = new Map<number, Candidate[]>();
  #longest = WINDOW;

  constructor(secrets: readonly { readonly provider: string; readonly secret: Secret }[]) {
    let power = 1;
    for (let count = 0; count < WINDOW; count++) power = Math.imul(power, this.#multiplier);
    this.#outgoing = this.#numbers.map((number) => Math.imul(number, power));
    const leftOut = new Set<string>();
    for (const { provider, secret } of secrets) {
      const value = secret.reveal();
      if (value.length < SHORTEST_SECRET) leftOut.add(provider);
      else for (const form of formsOf(value)) this.#add(provider, form);
    }
    this.leftOut = [...leftOut];
  }

  get isEmpty(): boolean {
    return this.#candidates.size === 0;
  }

  /** Gives a search whose `push` takes a text piece by piece, and tells what ended in this piece. */
  begin(): { push(chunk: Uint8Array): readonly Find[] } {
    const [numbers, outgoing, filter, multiplier] = [
      this.#numbers,
      this.#outgoing,
      this.#filter,
      this.#multiplier,
    ];
    let kept: Uint8Array = new Uint8Array(0);
    let keptFrom = 0;
    let hash = 0;
    const push = (chunk: Uint8Array): readonly Find[] => {
      const text = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
      const finds: Find[] = [];
      for (let at = kept.length; at < text.length; at++) {
        hash = (Math.imul(hash, multiplier) + (numbers[text[at] ?? 0] ?? 0)) | 0;
        if (at >= WINDOW) hash = (hash - (outgoing[text[at - WINDOW] ?? 0] ?? 0)) | 0;
        if (filter[hash >>> (32 - FILTER_BITS)] === 1)
          for (const find of this.#confirm(hash, text, at + 1))
            finds.push({ ...find, offset: keptFrom + find.offset });
      }
      const keptLength = Math.min(text.length, this.#longest);
      keptFrom += text.length - keptLength;
      // A copy: the caller may use its piece again.
      kept = Uint8Array.prototype.slice.call(text, text.length - keptLength);
      return finds;
    };
    return { push };
  }

  #add(provider: string, form: Buffer): void {
    const hash = this.#hash(form.subarray(-WINDOW));
    const list = this.#candidates.get(hash) ?? [];
    list.push({ provider, length: form.length, digest: this.#digest(form) });
    this.#candidates.set(hash, list);
    this.#filter[hash >>> (32 - FILTER_BITS)] = 1;
    this.#longest = Math.max(this.#longest, form.length);
  }

  #confirm(hash: number, text: Uint8Array, end: number): readonly Find[] {
    return (this.#candidates.get(hash) ?? [])
      .filter(
        ({ length, digest }) =>
          end >= length && digest.equals(this.#digest(text.subarray(end - length, end))),
      )
      .map(({ provider, length }) => ({ provider, offset: end - length }));
  }

  #hash(bytes: Uint8Array): number {
    return bytes.reduce(
      (hash, byte) => (Math.imul(hash, this.#multiplier) + (this.#numbers[byte] ?? 0)) | 0,
      0,
    );
  }

  #digest(bytes: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(bytes).digest();
  }
}

function randomNumbers(): Int32Array {
  const bytes = randomBytes(1024);
  return Int32Array.from({ length: 256 }, (_, index) => bytes.readInt32LE(index * 4));
}
