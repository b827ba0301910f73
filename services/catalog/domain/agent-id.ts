const AGENT_ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** Whether a text is an agent's id: one form only, as ids are compared and signed as texts. */
export function isAgentId(text: string): boolean {
  return AGENT_ID.test(text);
}

/** What is wrong with an agent's id. */
export function agentIdFault(text: string): string | undefined {
  return isAgentId(text) ? undefined : "agent_id must be a UUID in lower case";
}
