/** Carries bytes between a task's unix socket and one endpoint of the host. Not a proxy: one fixed destination. */
export interface Relay {
  serve(options: { readonly socketPath: string; readonly endpoint: string }): Promise<RelayService>;
}

export interface RelayService extends AsyncDisposable {
  close(): Promise<void>;
}
