import { readFileSync } from "node:fs";
import chromium from "@sparticuz/chromium";
import { type Browser, chromium as driver, type Locator, type Page } from "playwright-core";

/** With the browser's own rules in force; the package's own arguments would lift some. */
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
const WAIT_MS = 30_000;

/** A Chromium without a window; close it. */
export async function startBrowser(): Promise<Browser> {
  return driver.launch({ executablePath: await chromium.executablePath(), args: ARGS });
}

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

/** A page of a visit of its own, and everything that went wrong in it. */
export interface Visit {
  page: Page;
  /** What the page wrote as an error, or threw. */
  errors: string[];
  close(): Promise<void>;
}

/** Nobody is signed in. */
export async function visit(browser: Browser, size = DESKTOP): Promise<Visit> {
  const context = await browser.newContext({ viewport: size });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  return { page, errors, close: () => context.close() };
}

const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds serious or critical on a page: the rule, and where. */
export async function findBarriers(page: Page): Promise<string[]> {
  // Past the page's own policy, which lets no such script in.
  const session = await page.context().newCDPSession(page);
  const run = async (expression: string): Promise<unknown> => {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await session.send("Runtime.evaluate", options);
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return result.value;
  };
  await run(AXE);
  const found = (await run(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
      violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.map((node) => node.target.join(" ")) })))`,
  )) as { id: string; impact: string; at: string[] }[];
  await session.detach();
  return found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, at }) => `${id}: ${at.join(", ")}`);
}

// What follows runs in the page, and is text since its names are not ours.

/** Everything that the page shows, keeps, or has in a field. */
export async function everythingIn(page: Page): Promise<string> {
  const kept = await page.evaluate<string>(
    `JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href,
      history.state, [...document.querySelectorAll("input, textarea")].map(({ value }) => value)])`,
  );
  return `${await page.content()} ${kept}`;
}

export function isFocused(target: Locator): Promise<boolean> {
  const focused = target.and(target.page().locator(":focus"));
  return focused.count().then((count) => count === 1);
}

/** Wider than the window: one would have to scroll sideways. */
export function widthOf(page: Page): Promise<number> {
  return page.evaluate<number>("document.documentElement.scrollWidth");
}
