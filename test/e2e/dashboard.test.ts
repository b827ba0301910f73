import type { Browser, Locator, Page } from "playwright-core";
import { eventually } from "../harness/eventually";
import {
  DESKTOP,
  everythingIn,
  findBarriers,
  isFocused,
  PHONE,
  startBrowser,
  visit,
  type Visit,
  widthOf,
} from "../harness/browser";
import { startTestStack, type TestStack } from "../harness/stack";

const PLACES = ["/", "/agents", "/agents/demo/fix-auth", "/rollouts", "/secrets", "/keys"];
const MORE_PLACES = ["/tokens", "/vms", "/people", "/audit", "/nowhere"];
const SHOWN_ONCE = "The new key is shown once — copy it before closing the dialog.";

let stack: TestStack;
let browser: Browser;
let at: string;
const open: Visit[] = [];

beforeAll(async () => {
  stack = await startTestStack({ withGateway: true });
  await stack.murmur.run(["secret", "set", "API_KEY"], "of-an-agent");
  await stack.murmur.run(["spawn", "fix-auth", "--", "sleep", "1d"]);
  await eventually(async () =>
    expect((await stack.agent("fix-auth")).appliedGeneration).toBeGreaterThan(0n),
  );
  at = `http://${stack.place.gateway}`;
  browser = await startBrowser();
}, 240_000);
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});
afterAll(async () => {
  await browser.close();
  await stack.stop();
}, 120_000);

async function begin(size = DESKTOP): Promise<Visit> {
  const one = await visit(browser, size);
  open.push(one);
  return one;
}

/** By the keyboard alone, from the page that whoever is not signed in gets. */
async function signIn({ page }: Visit, path = "/"): Promise<void> {
  await page.goto(`${at}${path}`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.keyboard.insertText(await stack.identities.issueToken());
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Skip to the page" }).waitFor({ state: "attached" });
}

/** Tab by tab to what has this name, and no further than a person would. */
async function tabTo(
  within: Page | Locator,
  role: "button" | "link" | "radio" | "checkbox",
  name: string | RegExp,
) {
  const page = "keyboard" in within ? within : within.page();
  const target = within.getByRole(role, { name }).first();
  await target.waitFor();
  for (let presses = 0; presses < 60; presses++) {
    if (await isFocused(target)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${role} ${String(name)} was not reached`);
}

describe("signing in", () => {
  it("takes a key or token, keeps it where no script can read it, and ends", async () => {
    const one = await begin();
    await signIn(one);
    const { page, errors } = one;
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    const [cookie, ...others] = await page.context().cookies();
    expect(others).toEqual([]);
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
    expect(await everythingIn(page)).not.toContain(cookie!.value);
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await page.context().cookies()).toEqual([]);
    const again = await fetch(`${at}/v1/secrets`, {
      headers: { cookie: `${cookie!.name}=${cookie!.value}` },
    });
    expect(again.status).toBe(401);
    // The browser itself notes each 401, of which the first is how one learns to sign in.
    expect(errors.filter((error) => !error.includes("401"))).toEqual([]);
  });

  it("says so when it is refused, and keeps nothing", async () => {
    const { page } = await begin();
    await page.goto(at);
    await page.getByLabel("API key or token").fill("mur_key_nobodyknowsthis");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This key or token is not known here").waitFor();
    expect(await everythingIn(page)).not.toContain("mur_key_nobodyknowsthis");
    expect(await page.context().cookies()).toEqual([]);
  });

  it("everywhere ends the sessions of every browser", async () => {
    const [here, there] = [await begin(), await begin()];
    await signIn(here);
    await signIn(there);
    await here.page.getByRole("button", { name: "Sign out everywhere" }).click();
    await here.page.getByRole("heading", { name: "Sign in" }).waitFor();
    await there.page.reload();
    await there.page.getByRole("heading", { name: "Sign in" }).waitFor();
  });
});

describe.each([
  ["a desktop", DESKTOP],
  ["a phone", PHONE],
])("on %s", (_name, size) => {
  it("a key is made and rotated by the keyboard alone, and its value shown once", async () => {
    const one = await begin(size);
    const { page } = one;
    await signIn(one, "/keys");
    await tabTo(page, "button", "New API key");
    await page.keyboard.press("Enter");
    await page.locator("dialog input:focus").waitFor();
    const label = `ci ${size.width}`;
    await page.keyboard.insertText(label);
    await page.keyboard.press("Enter");
    const first = await saveShown(page);
    await tabTo(page, "link", new RegExp(label));
    await page.keyboard.press("Enter");
    await tabTo(page, "button", "Rotate Key");
    await page.keyboard.press("Enter");
    await page.getByText("Choose how long the old one stays valid.").waitFor();
    expect(await page.getByRole("radio", { checked: true }).count()).toBe(0);
    expect(await page.getByRole("radio").count()).toBe(7);
    await page.getByRole("radio", { name: "Immediate" }).focus();
    await page.keyboard.press("ArrowDown");
    await expectChecked(page, "15 minutes Valid for 15 more minutes");
    await tabTo(page, "button", "Rotate Key");
    await page.keyboard.press("Enter");
    const second = await saveShown(page);
    await page.locator(".badge", { hasText: "in grace" }).waitFor();
    await page
      .getByText(/^(14:|15:0)/)
      .first()
      .waitFor();
    for (const value of [first, second]) expect(await statusWith(value)).toBe(200);
    await tabTo(page, "button", "Revoke now");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo(page.getByRole("dialog"), "button", "Revoke now");
    await page.keyboard.press("Enter");
    await page.locator(".badge", { hasText: "revoked" }).waitFor();
    expect(await statusWith(first)).toBe(401);
    expect(await statusWith(second)).toBe(200);
  });

  it("an agent is rekeyed and watched until it is on its new generation", async () => {
    const one = await begin(size);
    const { page, errors } = one;
    await signIn(one, "/agents/demo/fix-auth");
    await tabTo(page, "button", "Rekey");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Rollout: demo/fix-auth" }).waitFor();
    await page.getByText("1 of 1").waitFor();
    await page.getByRole("heading", { name: "Time until an agent had it" }).waitFor();
    expect(errors.filter((error) => !error.includes("401"))).toEqual([]);
  });

  it("every page can be used by everybody: axe finds nothing serious", async () => {
    const one = await begin(size);
    const { page, errors } = one;
    await signIn(one);
    for (const place of [...PLACES, ...MORE_PLACES]) {
      await page.goto(`${at}${place}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await eventually(async () => expect(await page.locator(".loading").count()).toBe(0));
      expect([place, await findBarriers(page)]).toEqual([place, []]);
      expect([place, await widthOf(page)]).toEqual([place, size.width]);
    }
    expect(errors.filter((error) => !error.includes("401"))).toEqual([]);
  });
});

it("a secret's value goes in once, and is nowhere afterwards", async () => {
  const one = await begin();
  const { page } = one;
  await signIn(one, "/secrets");
  const value = "of-nobody-but-agents-4711";
  const seen: string[] = [];
  page.on("request", (request) => {
    if (request.postData()?.includes(value)) seen.push(`${request.method()} ${request.url()}`);
  });
  page.on("response", (response) => {
    void response.text().then(
      (text) => text.includes(value) && seen.push(`answer of ${response.url()}`),
      () => undefined,
    );
  });
  await page.getByRole("button", { name: "New secret" }).first().click();
  await page.getByLabel("Name").fill("BY_DASHBOARD");
  await page.getByLabel("Value").fill(value);
  await page.getByRole("button", { name: "Set the secret" }).click();
  await page.getByRole("link", { name: "BY_DASHBOARD" }).waitFor();
  expect(await everythingIn(page)).not.toContain(value);
  await page.getByRole("link", { name: "BY_DASHBOARD" }).click();
  await page.getByRole("heading", { name: "Versions" }).waitFor();
  expect(await everythingIn(page)).not.toContain(value);
  expect(seen).toEqual([`PUT ${at}/v1/secrets/BY_DASHBOARD`]);
});

/** Reads the value as a person does, says that it is saved, and finds it nowhere any more. */
async function saveShown(page: Page): Promise<string> {
  await page.getByText(SHOWN_ONCE).waitFor();
  const value = await page.getByRole("dialog").locator("code").innerText();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  expect(await page.getByRole("dialog").count()).toBe(1);
  await tabTo(page, "checkbox", "I have saved it");
  await page.keyboard.press("Space");
  await tabTo(page, "button", "Done");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await everythingIn(page)).not.toContain(value);
  return value;
}

async function expectChecked(page: Page, name: string): Promise<void> {
  await page.getByRole("radio", { name, checked: true }).waitFor();
}

async function statusWith(value: string): Promise<number> {
  const headers = { authorization: `Bearer ${value}` };
  return (await fetch(`${at}/v1/identity`, { headers })).status;
}
