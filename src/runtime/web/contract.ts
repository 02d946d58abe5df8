import { z } from 'zod';

/** Port inside every web task's container that its program listens on, on loopback. */
export const CONTAINER_WEB_PORT = 8080;
/** Ports of the host that are given out. */
export const FIRST_WEB_PORT = 18_700;
export const LAST_WEB_PORT = 32_700;

/** The `web` section of `config.yml` and `project.yml`. */
export const WebSettings = z
  .strictObject({
    program: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/)
      .default('toad')
      .describe('Web program of the roster that web tasks run.'),
    port: z
      .int()
      .min(1024)
      .max(65_535)
      .optional()
      .describe('Port of this machine for it. Default: a free one from 18700 to 32700.'),
    public_url: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe(
        'Address people use, where a reverse proxy stands in front. Default: http://127.0.0.1:<port>.',
      ),
  })
  .describe('Web tasks.');
export type WebSettings = z.infer<typeof WebSettings>;

/**
 * The host's door to a task's web program: loopback only, and only for whoever has the token. The program is
 * reached inside the task's own network namespace; nothing the container offers is followed or resolved.
 */
export interface WebDoors {
  /**
   * Claims a port: the preferred one, else a free one of the pool (`taken` are claimed by other tasks). Nothing
   * listens yet. Throws ConflictError when the preferred one was demanded and is taken, or none is free.
   */
  claim(options: {
    readonly preferred: number | undefined;
    readonly isDemanded: boolean;
    readonly taken: readonly number[];
  }): Promise<number>;
  /** Listens. Throws ConflictError when somebody else took the port meanwhile. */
  open(options: {
    readonly task: string;
    readonly port: number;
    /** SHA-256 of the token that lets people in. */
    readonly tokenHash: Uint8Array;
    /** Host path of the task's pinned network namespace. */
    readonly networkPath: string;
    /** Cookies are marked Secure when this is https. */
    readonly publicUrl: string;
  }): Promise<WebDoor>;
}

export interface WebDoor extends AsyncDisposable {
  /** Stops listening, ends connections and the helpers behind them. */
  close(): Promise<void>;
}
