-- Gives the roles of roles.sql the passwords in the addresses that ./make-secrets has made.
\set proxies `cat /run/secrets/ledger`
\set lead `cat /run/secrets/lead`
SELECT substring(:'proxies' FROM '://[^:]+:([^@]+)@') AS proxies, substring(:'lead' FROM '://[^:]+:([^@]+)@') AS lead \gset
ALTER ROLE trigger_shim PASSWORD :'proxies';
ALTER ROLE trigger_shim_lead PASSWORD :'lead';
