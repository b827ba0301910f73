"use strict";

/** Prints `N passed, N failed` as the last line of a run; a suite that could not run has failed. */
class ClosingLineReporter {
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    // Jest's own summary comes after every reporter.
    process.once("exit", () => {
      process.stdout.write(`${results.numPassedTests} passed, ${failed} failed\n`);
    });
  }
}

module.exports = ClosingLineReporter;
