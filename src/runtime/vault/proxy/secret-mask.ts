const STAR = '*'.charCodeAt(0);
const NOTHING = Buffer.alloc(0);

/** Finds secrets in a stream of bytes, also across its chunks. One use a stream. */
export class SecretMask {
  readonly #forms: readonly Buffer[];
  #held: Buffer = NOTHING;
  #found = 0;

  constructor(forms: readonly Buffer[]) {
    this.#forms = forms;
  }

  /** How many were found so far. */
  get found(): number {
    return this.#found;
  }

  /** Bytes kept back because they could be the beginning of a secret. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /** What may go on by now: as many bytes as came, less those held, each secret in it as stars. */
  push(chunk: Buffer): Buffer {
    if (this.#forms.length === 0) return chunk;
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const clean = this.#blotOut(bytes);
    const keep = this.#openTail(clean);
    this.#held = keep === 0 ? NOTHING : Buffer.from(clean.subarray(clean.length - keep));
    return keep === 0 ? clean : clean.subarray(0, clean.length - keep);
  }

  /** What was held: nothing more comes that could complete it. */
  flush(): Buffer {
    const rest = this.#held;
    this.#held = NOTHING;
    return rest;
  }

  /** Copies only where something was found: chunks are the sender's. */
  #blotOut(bytes: Buffer): Buffer {
    let clean = bytes;
    for (const form of this.#forms) {
      for (let at = clean.indexOf(form); at >= 0; at = clean.indexOf(form, at + form.length)) {
        if (clean === bytes) clean = Buffer.from(bytes);
        clean.fill(STAR, at, at + form.length);
        this.#found += 1;
      }
    }
    return clean;
  }

  /** Length of the longest end that is a beginning of a secret. */
  #openTail(bytes: Buffer): number {
    return Math.max(0, ...this.#forms.map((form) => openTailOf(bytes, form)));
  }
}

function openTailOf(bytes: Buffer, form: Buffer): number {
  const first = form[0] ?? 0;
  for (
    let at = bytes.indexOf(first, Math.max(0, bytes.length - form.length + 1));
    at >= 0;
    at = bytes.indexOf(first, at + 1)
  ) {
    const length = bytes.length - at;
    if (form.compare(bytes, at, bytes.length, 0, length) === 0) return length;
  }
  return 0;
}

/** The same for one short text, like a header. */
export function maskText(text: string, forms: readonly Buffer[]): string {
  const mask = new SecretMask(forms);
  const clean = Buffer.concat([mask.push(Buffer.from(text, 'latin1')), mask.flush()]);
  return mask.found === 0 ? text : clean.toString('latin1');
}
