import type { PeopleServiceService } from "../../../../gen/murmur/rotation/v1/people";
import { invalid, permissionDenied } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import { isDeveloperName } from "../../../../lib/identity/developer-name";
import { readPage, toPage } from "../../../../lib/page";
import { quoted } from "../../../../lib/quoted";
import { principalOf } from "../../agents/rpc/agent-service";
import { type Caller, callerOf } from "../../audit";
import { readRole, ROLE_MESSAGES } from "../../identity/rpc/role-messages";
import { addPerson, type PeopleDeps, removePerson, setPersonRole } from "../change-people";
import type { Person } from "../domain/person";

const PAGE = "people";

/** The handlers of PeopleService. */
export function createPeopleService(deps: PeopleDeps): HandlersOf<typeof PeopleServiceService> {
  return {
    async addPerson({ developer, role }, context) {
      const wish = { developer: readName(developer), role: readRole(role) };
      return { person: toMessage(await addPerson(deps, developerOf(context), wish)) };
    },
    async listPeople(request, context) {
      const page = readPage(PAGE, request);
      const rows = await deps.people.list(deps.pool, principalOf(context).tenantId, page);
      const { items, nextPageToken } = toPage(PAGE, rows, page, ({ developer }) => developer);
      return { people: items.map(toMessage), nextPageToken };
    },
    async setPersonRole({ developer, role }, context) {
      const wish = { developer: readName(developer), role: readRole(role) };
      return { person: toMessage(await setPersonRole(deps, developerOf(context), wish)) };
    },
    removePerson({ developer }, context) {
      return removePerson(deps, developerOf(context), readName(developer));
    },
  };
}

function developerOf(context: CallContext): Caller {
  if (principalOf(context).kind !== "developer") throw permissionDenied();
  return callerOf(context);
}

function readName(developer: string): string {
  if (isDeveloperName(developer)) return developer;
  throw invalid("developer", `developer ${quoted(developer)} must be provider/username`);
}

function toMessage({ developer, role, addedAt, addedBy }: Person) {
  return { developer, role: ROLE_MESSAGES[role], addedAt, addedBy };
}
