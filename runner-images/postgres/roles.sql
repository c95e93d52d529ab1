-- The candidate's service: owner of its database, so that it may create schemas and trusted extensions in it.
CREATE ROLE app LOGIN PASSWORD 'app';
CREATE DATABASE app OWNER app;
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
-- In the database that the role above cannot enter: it could replace what lies in its own.
CREATE EXTENSION pg_stat_statements;
