/** How a host is logged in to where nothing else was said: the first of the secrets that is there. */
export interface UsualCredential {
  username: string;
  secrets: readonly string[];
}

const GITHUB: UsualCredential = {
  username: "x-access-token",
  secrets: ["GH_TOKEN", "GITHUB_TOKEN"],
};

/** Hosts of git, by the names that their own tools give to tokens. */
export const USUAL_GIT: ReadonlyMap<string, UsualCredential> = new Map([
  ["github.com", GITHUB],
  ["gist.github.com", GITHUB],
  ["gitlab.com", { username: "oauth2", secrets: ["GITLAB_TOKEN"] }],
  ["bitbucket.org", { username: "x-token-auth", secrets: ["BITBUCKET_TOKEN"] }],
]);

/** Registries of containers. */
export const USUAL_DOCKER: ReadonlyMap<string, UsualCredential> = new Map([
  ["ghcr.io", { ...GITHUB, secrets: ["GHCR_TOKEN", ...GITHUB.secrets] }],
  ["registry.gitlab.com", { username: "oauth2", secrets: ["GITLAB_TOKEN"] }],
]);
