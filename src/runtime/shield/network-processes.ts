import { findProcesses, type RunningProcess } from '../core/process-table-loader.ts';

/** The user-mode network of one pin, and the program that is just entering its namespaces to become it. */
export async function networkProcesses(pin: string): Promise<readonly RunningProcess[]> {
  return await findProcesses(
    (argv) =>
      (argv.includes(pin) || argv.includes(`--netns=${pin}`)) &&
      /(?:^|\/)(?:slirp4netns|pasta(?:\.avx2)?|passt(?:\.avx2)?|nsenter)$/.test(argv[0] ?? ''),
  );
}
