// Turns a journey's report into one sub-test per step.

import assert from 'node:assert/strict';

import { STEPS } from './journey.js';

/** One sub-test per step. Steps behind a failed one are skipped; a report that merely ends early fails. */
export async function assertReport(t, report, log) {
  for (const [index, name] of STEPS.entries()) {
    const step = report[index];
    await t.test(name, { skip: !step && 'a step before it failed' }, () => {
      if (step.error) throw new Error(`${step.error}\nserver:\n${log()}`);
    });
  }
  const failed = report.some((step) => step.error);
  assert.ok(failed || report.length === STEPS.length, `only ${report.length} of ${STEPS.length} steps ran`);
}
