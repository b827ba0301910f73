import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** A real OpenID provider with the public client `murmur-cli`, which may use the device flow. */
export interface OidcProvider {
  issuer: string;
  /** What somebody does in a browser who was shown this address: signs in under a name and agrees, or not. */
  visit(url: string, name: string, agree?: boolean): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it as a process of its own, since it is an ES module; `stop` it in `afterAll`. */
export async function startOidcProvider(): Promise<OidcProvider> {
  const child = fork(join(__dirname, "oidc-provider-child.mjs"), { stdio: "ignore", execArgv: [] });
  const exited = once(child, "exit");
  const [message] = (await Promise.race([
    once(child, "message"),
    exited.then(() => Promise.reject(new Error("the OpenID provider did not start"))),
  ])) as [{ issuer: string }];
  return {
    issuer: message.issuer,
    visit: (url, name, agree = true) => new Browser().visit(url, name, agree),
    async stop() {
      child.kill();
      await exited;
    },
  };
}

const MAX_PAGES = 12;

/** Follows redirects, keeps cookies and submits the one form of each page. */
class Browser {
  readonly #cookies = new Map<string, string>();

  /** Returns the text of the last page. */
  async visit(url: string, name: string, agree: boolean): Promise<string> {
    let page = await this.#get(url);
    for (let n = 0; n < MAX_PAGES; n++) {
      const form = formOf(page);
      if (!form) return page.text;
      const fields = { ...form.fields };
      if ("login" in fields) Object.assign(fields, { login: name, password: "any" });
      const isLast = form.names.includes("abort") || "confirm" in fields;
      const isRefused = isLast && !agree;
      if (isRefused) fields["abort"] = "yes";
      page = await this.#get(form.action, new URLSearchParams(fields));
      if (isRefused) return page.text;
    }
    throw new Error("the sign-in has no end");
  }

  async #get(url: string, body?: URLSearchParams): Promise<Page> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      ...(body && { method: "POST", body }),
      ...{ headers: { cookie }, redirect: "manual" },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.#cookies.set(name, value);
    }
    const location = response.headers.get("location");
    const text = await response.text();
    return location === null ? { url, text } : this.#get(new URL(location, url).href);
  }
}

interface Page {
  url: string;
  text: string;
}

function formOf({ url, text }: Page) {
  const [, attributes = "", inner = ""] = /<form([^>]*)>([\s\S]*?)<\/form>/.exec(text) ?? [];
  if (inner === "") return undefined;
  const action = /action="([^"]*)"/.exec(attributes)?.[1] ?? url;
  const inputs = [...inner.matchAll(/<(?:input|button)[^>]*>/g)].map(([tag]) => ({
    name: /name="([^"]*)"/.exec(tag)?.[1] ?? "",
    value: /value="([^"]*)"/.exec(tag)?.[1] ?? "",
    isButton: tag.startsWith("<button"),
  }));
  const fields: Record<string, string> = {};
  for (const { name, value, isButton } of inputs) if (name && !isButton) fields[name] = value;
  return {
    action: new URL(action.replaceAll("&amp;", "&"), url).href,
    fields,
    names: inputs.map(({ name }) => name),
  };
}
