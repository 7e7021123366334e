#!/usr/bin/env bash
# Run once by the postgres image, on an empty data directory: a database and a role for each service,
# which may connect to its own database alone.
set -euo pipefail

# Without its password file psql would make a role that nobody can log in as.
cd /run/secrets
head -c 1 auth_database_password directory_database_password >/dev/null

# psql reads the password from the file itself: on a command line, every process could see it.
for service in auth directory; do
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set name="doorward_$service" --set service="$service" \
        --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set file /run/secrets/ :service _database_password
\set password `cat :file`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done

psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
SQL
