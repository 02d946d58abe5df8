import type { Readable, Writable } from 'node:stream';

/** What the program takes from the process it runs in; everything else gets it handed in. */
export interface Host {
  /** Arguments after the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** What relative paths in arguments mean. */
  readonly cwd: string;
  readonly uid: number;
  readonly userName: string;
  readonly pid: number;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** A person sits at both ends. */
  readonly isInteractive: boolean;
  /** How to start this very program again, without its arguments. */
  readonly program: { readonly file: string; readonly args: readonly string[] };
  ownsDirectory(directory: string): boolean;
  /** SIGTERM, SIGINT, SIGHUP. */
  onSignal(handler: (signal: string) => void): void;
  /** Exceptions and rejections that nobody handled. */
  onFatal(handler: (error: unknown) => void): void;
  /** At once, without waiting for output that is still on its way. */
  exit(code: number): never;
  /** Ends the process as a crash would: for fault-injection tests. */
  crash(): void;
}

/** 0: done. 1: it failed. 2: it was called wrongly. `terok-mcp podman` passes on Podman's own. */
export type ExitCode = number;
