export declare function judgeCruise(
  stdout: string,
  stderr: string,
  sources: readonly string[],
): string | undefined;
export declare function judgeLock(text: string): string | undefined;
