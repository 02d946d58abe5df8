// What a tool's output comes to. Each judge returns what is wrong, or undefined.

/** A cruise that looked at nothing finds nothing: it must have seen every source file. */
export function judgeCruise(stdout, stderr, sources) {
  let report;
  try {
    report = JSON.parse(stdout);
  } catch {
    return `no report: ${stderr.trim()}`;
  }
  const seen = report.modules.filter((module) => /^src\/.*\.ts$/.test(module.source)).length;
  if (seen === 0 || seen < sources.length) return `looked at ${seen} of ${sources.length} modules`;
  const violations = report.summary.violations.filter(({ rule }) => rule.severity === 'error');
  if (violations.length === 0) return undefined;
  return violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`).join('\n');
}

/** The lock file names versions and checksums; where packages are downloaded is the installing machine's matter. */
export function judgeLock(text) {
  const problems = [];
  const visit = (value, keys) => {
    const place = keys.join(' > ');
    if (keys.at(-1) === 'resolved') problems.push(`${place}: a download address`);
    else if (typeof value === 'string' && /\bhttps?:/i.test(value) && !keys.includes('funding'))
      problems.push(`${place}: ${value}`);
    else if (typeof value === 'object' && value !== null)
      for (const [key, inner] of Object.entries(value)) visit(inner, [...keys, key]);
  };
  visit(JSON.parse(text), []);
  return problems.length === 0 ? undefined : problems.join('\n');
}
