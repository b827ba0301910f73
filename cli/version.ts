import { version } from "../package.json";

/** Of the package that this file was built from. */
export const VERSION = version;
