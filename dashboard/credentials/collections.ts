/** What differs between API keys and agent tokens, in words and routes. */
export interface Collection {
  base: "/v1/keys" | "/v1/tokens";
  path: "/keys" | "/tokens";
  title: string;
  /** In a sentence: "an API key". */
  one: string;
  /** In a sentence about its value: "the new key". */
  short: "key" | "token";
  rotate: "Rotate Key" | "Rotate Token";
  about: string;
}

export const API_KEYS: Collection = {
  ...{ base: "/v1/keys", path: "/keys", title: "API Keys", one: "API key", short: "key" },
  rotate: "Rotate Key",
  about:
    "API keys let scripts and services do what you may do here, or the part of it that their scopes name.",
};

export const TOKENS: Collection = {
  ...{ base: "/v1/tokens", path: "/tokens", title: "Agent tokens", one: "agent token" },
  ...{ short: "token", rotate: "Rotate Token" },
  about: "An agent token is how one of your agents says which agent it is.",
};
