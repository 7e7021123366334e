#!/usr/bin/env bash
# The postgres image runs this script once, on an empty data directory. It creates a database and a role for each service;
# a role can connect only to its own database.
set -euo pipefail

# If the password file were missing, psql would create a role without a password, and no client could log in with it.
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
