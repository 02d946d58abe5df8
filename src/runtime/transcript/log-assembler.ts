import type { PrintedLine } from './parse-events.ts';

/** A line of a container, whole again. */
export interface LogLine extends PrintedLine {
  /** When its last part was written, in Podman's words. */
  readonly at: string;
  /** Printed after terok-init made the workspace ready: by the agent. */
  readonly isAgents: boolean;
}

/** More bytes of one line are left out. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** Kept of a line that is longer. */
const KEPT_BYTES = 16 * 1024;
const UNKNOWN_TIME = '1970-01-01T00:00:00Z';

const ENTRY = /^(\d{4}-\d{2}-\d{2}T[0-9:.+Z-]{1,40}) (stdout|stderr) ([FP]) /;
/** What terok-init prints when the container starts, and when the workspace is ready. */
const STARTED = /^>> (?:cloning |fetching$)/;
const READY = '>> init complete';

type Stream = PrintedLine['stream'];

interface OpenLine {
  readonly parts: Buffer[];
  bytes: number;
  /** Its first parts lie before what this has seen. */
  readonly isHeadless: boolean;
  /** It was told where the log had ended before the offset that reading began at. */
  isTold: boolean;
}

/**
 * Makes lines of the entries of Podman's k8s-file log (`<time> <stream> <F|P> <text>`; P marks a part of a longer line).
 * Its state depends only on the entries it was fed: fed with what stands before any offset, it goes on as if it had read
 * from the start. `isBlind`: it begins in the middle of a log, where a line may be open already.
 */
export class LogAssembler {
  readonly #open = new Map<Stream, OpenLine>();
  /** Streams of which the end of a line was seen, so that the next entry begins one. */
  readonly #isKnown = new Set<Stream>();
  #isReady: boolean;
  #isBehindPart = false;
  #at = UNKNOWN_TIME;

  constructor(options: { readonly isBlind: boolean }) {
    this.#isReady = options.isBlind;
    if (!options.isBlind) this.#isKnown.add('stdout').add('stderr');
  }

  /** A line has begun and not ended. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  /** One has that began before what was fed. */
  get isHeadless(): boolean {
    return [...this.#open.values()].some((line) => line.isHeadless);
  }

  /** All that stands before an offset was fed, as far as it matters: a stream without an open line begins one next. */
  settle(): this {
    this.#isKnown.add('stdout').add('stderr');
    // Only what tells the lines that were never ended stops right behind a part.
    for (const line of this.#open.values()) line.isTold = this.#isBehindPart;
    return this;
  }

  /** One entry, without its newline: the lines that it completes. */
  feed(entry: Buffer): readonly LogLine[] {
    const head = ENTRY.exec(entry.subarray(0, 96).toString('latin1'));
    const stream: Stream = head?.[2] === 'stderr' ? 'stderr' : 'stdout';
    const text = entry.subarray(head?.[0].length ?? 0);
    this.#at = head?.[1] ?? this.#at;
    this.#isBehindPart = head?.[3] === 'P';
    if (this.#isBehindPart) {
      this.#append(stream, text);
      return [];
    }
    // Whoever was cut off in the middle of a line does not have the next start's first line put behind it.
    const cutOff = stream === 'stdout' && STARTED.test(headOf(text)) ? this.#cutOff() : [];
    this.#append(stream, text);
    const line = this.#close(stream);
    return line === undefined ? cutOff : [...cutOff, line];
  }

  /** The lines that were never ended. */
  flush(): readonly LogLine[] {
    return [...this.#open.keys()].flatMap((stream) => this.#close(stream) ?? []);
  }

  /** What the start before left unfinished, where it has not been told yet. */
  #cutOff(): readonly LogLine[] {
    for (const [stream, { isTold }] of this.#open) if (isTold) this.#open.delete(stream);
    return this.flush();
  }

  #append(stream: Stream, text: Buffer): void {
    const isHeadless = !this.#isKnown.has(stream);
    const line = this.#open.get(stream) ?? { parts: [], bytes: 0, isHeadless, isTold: false };
    this.#open.set(stream, line);
    line.isTold = false;
    if (line.bytes <= MAX_LINE_BYTES) line.parts.push(text);
    line.bytes += text.length;
  }

  #close(stream: Stream): LogLine | undefined {
    const line = this.#open.get(stream);
    if (line === undefined) return undefined;
    this.#open.delete(stream);
    this.#isKnown.add(stream);
    const base = { stream, at: this.#at, isAgents: this.#isReady };
    if (line.isHeadless) return { ...base, text: '', leftOut: line.bytes };
    const bytes = Buffer.concat(line.parts);
    if (line.bytes > MAX_LINE_BYTES) {
      const text = bytes.subarray(0, KEPT_BYTES).toString('utf8');
      return { ...base, text, leftOut: line.bytes - KEPT_BYTES };
    }
    // A terminal ends its lines with both characters.
    const text = bytes.toString('utf8').replace(/\r$/, '');
    if (stream === 'stdout') this.#isReady = text === READY || (this.#isReady && !STARTED.test(text));
    return { ...base, text, isAgents: base.isAgents && this.#isReady };
  }
}

const headOf = (text: Buffer): string => text.subarray(0, 64).toString('latin1').replace(/\r$/, '');
