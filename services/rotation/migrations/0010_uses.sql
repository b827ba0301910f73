-- Which generation an agent's programs were seen to use: the first use of each is recorded once.
alter table agents add column used bigint not null default 0;
