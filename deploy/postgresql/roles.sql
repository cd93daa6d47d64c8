-- Roles for a ledger in PostgreSQL: one for the proxies, and one for migration leads, who read reports. All that they can write is
-- which owners have had letters.
-- Run it once, as an administrator, in the empty database of the ledger. README.md says how to give both a password.

BEGIN;

CREATE ROLE trigger_shim LOGIN;
CREATE ROLE trigger_shim_lead LOGIN CONNECTION LIMIT 20;
GRANT trigger_shim TO CURRENT_USER;  -- an administrator who is no superuser needs it for the rest

GRANT USAGE, CREATE ON SCHEMA public TO trigger_shim;
GRANT USAGE ON SCHEMA public TO trigger_shim_lead;

-- The proxies create their tables when they start, but for this one: it has the key of the fingerprints, and no lead may
-- read it. So it is created before leads get the right to read every table that follows.
CREATE TABLE public.secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
ALTER TABLE public.secrets OWNER TO trigger_shim;
ALTER DEFAULT PRIVILEGES FOR ROLE trigger_shim IN SCHEMA public GRANT SELECT ON TABLES TO trigger_shim_lead;

-- And this one, the only one that leads add to: which owners had letters, and when.
CREATE TABLE public.letters (owner TEXT NOT NULL, written BIGINT NOT NULL, PRIMARY KEY (owner, written));
ALTER TABLE public.letters OWNER TO trigger_shim;
GRANT SELECT, INSERT ON public.letters TO trigger_shim_lead;

COMMIT;
