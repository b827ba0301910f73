import { allPages } from "../all-pages";
import { type Run } from "../command";
import { peopleTable, personToJson } from "../people/views";

export const run: Run = async ({ rotation, output, clock }, call) => {
  const { people } = await rotation();
  const found = await allPages(
    (page) => people.listPeople(page),
    (page) => page.people,
  );
  if (call.flag("json")) output.json(found.map(personToJson));
  else output.lines(peopleTable(found, { now: clock.now(), bold: output.style.bold }));
};
