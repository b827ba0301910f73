import { LocationProvider, Route, Router } from "preact-iso";
import { useEffect, useState } from "preact/hooks";
import { AgentPage } from "./agents/agent-page";
import { AgentsPage } from "./agents/agents-page";
import { AuditPage } from "./audit/audit-page";
import { CredentialPage } from "./credentials/credential-page";
import { CredentialsPage } from "./credentials/credentials-page";
import { API_KEYS, TOKENS } from "./credentials/collections";
import { Frame } from "./frame/frame";
import { NotFound } from "./frame/not-found";
import { OverviewPage } from "./overview/overview-page";
import { PeoplePage } from "./people/people-page";
import { RolloutPage } from "./rollouts/rollout-page";
import { RolloutsPage } from "./rollouts/rollouts-page";
import { SecretPage } from "./secrets/secret-page";
import { SecretsPage } from "./secrets/secrets-page";
import { resumeSession, session } from "./session/session";
import { SignIn } from "./session/sign-in";
import { VmsPage } from "./vms/vms-page";

const AGAIN_MS = 2_000;

/** The pages, for whoever is signed in. */
export function App() {
  const isReachable = useSession();
  if (session.value === undefined)
    return isReachable ? null : <p class="offline">Murmur cannot be reached. Trying again…</p>;
  if (session.value === null) return <SignIn />;
  return (
    <LocationProvider>
      <Frame session={session.value}>
        <Router>
          <Route path="/" component={OverviewPage} />
          <Route path="/agents" component={AgentsPage} />
          <Route path="/agents/:workspace/:agent" component={AgentPage} />
          <Route path="/rollouts" component={RolloutsPage} />
          <Route path="/rollouts/:id" component={RolloutPage} />
          <Route path="/secrets" component={SecretsPage} />
          <Route path="/secrets/:name" component={SecretPage} />
          <Route path="/keys" component={() => <CredentialsPage collection={API_KEYS} />} />
          <Route
            path="/keys/:id"
            component={({ id }: { id: string }) => <CredentialPage collection={API_KEYS} id={id} />}
          />
          <Route path="/tokens" component={() => <CredentialsPage collection={TOKENS} />} />
          <Route
            path="/tokens/:id"
            component={({ id }: { id: string }) => <CredentialPage collection={TOKENS} id={id} />}
          />
          <Route path="/audit" component={AuditPage} />
          <Route path="/vms" component={VmsPage} />
          <Route path="/people" component={PeoplePage} />
          <Route default component={NotFound} />
        </Router>
      </Frame>
    </LocationProvider>
  );
}

/** Whether Murmur answers who is signed in; asks until it does. */
function useSession(): boolean {
  const [isReachable, setReachable] = useState(true);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = () =>
      resumeSession().catch(() => {
        setReachable(false);
        timer = setTimeout(() => void ask(), AGAIN_MS);
      });
    void ask();
    return () => clearTimeout(timer);
  }, []);
  return isReachable;
}
