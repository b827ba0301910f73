import { PeopleServiceService } from "../../../gen/murmur/rotation/v1/people";
import type { RouteKit } from "./rpc-route";
import type { RestRequest, Route } from "./route";

const tag = "people";
const ALL = "/v1/people";
const ONE = `${ALL}/{provider}/{username}`;

/** Who is in the tenant, and with which role. */
export function peopleRoutes({ rpc }: RouteKit): Route[] {
  const one = { tag, path: ONE, params: ["provider", "username"], hidden: ["developer"] };
  const set = ({ params }: RestRequest) => ({
    developer: `${String(params["provider"])}/${String(params["username"])}`,
  });
  return [
    rpc({
      ...{ method: "GET", path: ALL, tag, summary: "List who is in the tenant, by name" },
      rpc: PeopleServiceService.listPeople,
    }),
    rpc({
      ...{ method: "POST", path: ALL, tag, summary: "Let a developer into the tenant" },
      rpc: PeopleServiceService.addPerson,
      status: 201,
      required: ["developer", "role"],
    }),
    rpc({
      ...{ ...one, method: "PUT", rpc: PeopleServiceService.setPersonRole, set },
      summary: "Give a person another role, which counts at once",
      required: ["role"],
    }),
    rpc({
      ...{ ...one, method: "DELETE", rpc: PeopleServiceService.removePerson, set },
      summary: "Take a person out of the tenant and revoke their API keys and agent tokens",
    }),
  ];
}
