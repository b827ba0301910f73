/** What a state means for whoever looks: fine, under way, to be looked at, wrong, or over. */
export type Tone = "good" | "busy" | "warn" | "bad" | "quiet";

const SIGNS: Record<Tone, string> = { good: "●", busy: "◐", warn: "▲", bad: "■", quiet: "○" };

/** A state in words, with a shape for those who do not see its colour. */
export function Badge({ tone, children }: { tone: Tone; children: string }) {
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{SIGNS[tone]}</span> {children}
    </span>
  );
}
