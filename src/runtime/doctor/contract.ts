export interface Finding {
  /** Stable identifier, like `host.podman` or `host.limits`. */
  readonly check: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do; absent when ok. */
  readonly fix?: string | undefined;
}

export interface Doctor {
  /** Runs every check; a check that throws becomes a `fail` finding. Changes nothing. */
  examine(signal?: AbortSignal): Promise<readonly Finding[]>;
}
