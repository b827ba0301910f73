/** What the simulator has found to be broken; the message says what and who. */
export class Violation extends Error {}
