import { useState } from "preact/hooks";
import { type ApiError, api, answerOf } from "../api/client";
import { allPages, PAGE_SIZE } from "../api/pages";
import { useResource } from "../api/resource";
import type { components } from "../api/rest-types";
import { Page } from "../frame/page";
import { capital, Loaded } from "../frame/states";
import { type Column, Table } from "../parts/table";
import { Ago } from "../parts/time";
import { session } from "../session/session";

type Person = components["schemas"]["Person"];
type Role = NonNullable<Person["role"]>;

const ROLES: readonly Role[] = ["member", "admin", "owner"];
const EVERY_MS = 15_000;

function listPeople(signal: AbortSignal): Promise<Person[]> {
  return allPages(async (pageToken) => {
    const query = { page_size: PAGE_SIZE, page_token: pageToken };
    const page = await answerOf(api.GET("/v1/people", { params: { query }, signal }));
    return { items: page.people, nextPageToken: page.next_page_token };
  });
}

/** Who may do what here. */
export function PeoplePage() {
  const [problem, setProblem] = useState<string>();
  const people = useResource(listPeople, [], { everyMs: EVERY_MS });
  const setRole = async ({ developer }: Person, role: Role) => {
    setProblem(undefined);
    const [provider = "", username = ""] = developer.split("/");
    try {
      const params = { path: { provider, username } };
      await answerOf(api.PUT("/v1/people/{provider}/{username}", { params, body: { role } }));
    } catch (error) {
      setProblem(`${capital((error as ApiError).message)}.`);
    }
    people.reload();
  };
  const columns: Column<Person>[] = [
    { name: "Person", of: ({ developer }) => <strong>{developer}</strong> },
    {
      name: "Role",
      of: (person) =>
        session.value?.role === "owner" ? (
          <select
            aria-label={`Role of ${person.developer}`}
            value={person.role}
            onChange={(event) => void setRole(person, event.currentTarget.value as Role)}
          >
            {ROLES.map((role) => (
              <option key={role} value={role}>
                {role}
              </option>
            ))}
          </select>
        ) : (
          person.role
        ),
    },
    { name: "Since", of: ({ added_at: at }) => <Ago at={at} /> },
    { name: "Added by", of: ({ added_by: who }) => who },
  ];
  return (
    <Page title="People">
      <p class="lead">
        A member manages own keys and agents; an admin also secrets, machines and the agents of
        others; an owner also people.
      </p>
      {problem !== undefined && (
        <p class="notice bad" role="alert">
          {problem}
        </p>
      )}
      <Loaded of={people} what="people">
        {(rows) => (
          <Table
            caption="People"
            columns={columns}
            rows={rows}
            keyOf={({ developer }) => developer}
          />
        )}
      </Loaded>
    </Page>
  );
}
