import { Page } from "./page";

export function NotFound() {
  return (
    <Page title="No such page">
      <p>
        What you followed leads nowhere. <a href="/">The overview</a> shows what there is.
      </p>
    </Page>
  );
}
