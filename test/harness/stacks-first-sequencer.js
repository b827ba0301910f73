"use strict";

const { default: Sequencer } = require("@jest/test-sequencer");

/** Whatever starts the whole system, and waits as much as it computes. */
const WHOLE = /[\\/]test[\\/](?:e2e|faults|simulation)[\\/]/;

/**
 * The longest files first, so that no worker is left with one when the others have ended. Jest knows
 * how long they took from an earlier run; in a new clone it takes the largest files for the longest,
 * which the tests of the whole system are not.
 */
class StacksFirstSequencer extends Sequencer {
  sort(tests) {
    const sorted = [...super.sort(tests)];
    const isFirst = ({ path, context }) => WHOLE.test(path.slice(context.config.rootDir.length));
    return [...sorted.filter(isFirst), ...sorted.filter((test) => !isFirst(test))];
  }
}

module.exports = StacksFirstSequencer;
