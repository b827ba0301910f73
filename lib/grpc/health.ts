import type { Server } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";

/** Says on the standard health service whether a service can do its job now. */
export interface HealthReporter {
  set(service: string, isServing: boolean): void;
}

/** Adds `grpc.health.v1.Health`; the empty name stands for the whole process. */
export function addHealth(server: Server): HealthReporter {
  const implementation = new HealthImplementation({ "": "NOT_SERVING" });
  implementation.addToServer(server);
  return {
    set: (service, isServing) => {
      implementation.setStatus(service, isServing ? "SERVING" : "NOT_SERVING");
    },
  };
}
