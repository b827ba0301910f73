/** Roles as people type them, in order: each may do what those before it may. */
export const ROLE_WORDS: readonly string[] = ["member", "admin", "owner"];
