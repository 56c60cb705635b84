#!/usr/bin/env bash
# The last step of `make test`: brings the outside programs that some tests need, then runs all tests.
#
# What cannot be brought is not an error here: tests/conftest.py leaves out exactly the tests that need it, says
# so, and fails the run under CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi

bring() { # program, Debian package
  command -v "$1" > /dev/null && return 0
  command -v apt-get > /dev/null || return 0
  "${as_root[@]}" true 2> /dev/null || return 0
  echo "installing $2, which brings $1"
  "${as_root[@]}" apt-get -qq update < /dev/null || return 0
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-upgrade --no-install-recommends "$2" < /dev/null > /dev/null || return 0
  # The tests start brokers of their own; a packaged one that starts with the machine is not wanted here.
  if [ "$1" = mosquitto ] && [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl --quiet disable --now mosquitto.service || true
  fi
}

# Only the programs: a cluster that starts with the machine is not wanted. Debian makes one with the package, unless its
# common part, which comes first, is told otherwise. A machine that has that part already has its own mind.
bring_postgres() {
  compgen -G "/usr/lib/postgresql/*/bin/postgres" > /dev/null && return 0
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    bring pg_createcluster postgresql-common
    [ -d /etc/postgresql-common ] || return 0
    echo "create_main_cluster = false" |
      "${as_root[@]}" tee -a /etc/postgresql-common/createcluster.conf > /dev/null || return 0
  fi
  bring postgres postgresql
}

bring mosquitto mosquitto
bring ip iproute2 # namespaces of their own, for cabinets that lose their network
bring_postgres
bring systemd-analyze systemd

export PILENODE_TEST_WHEEL=1 # tests/test_wheel.py: what is imported must be the installed wheel
if [ "$#" -gt 0 ]; then
  exec .venv/bin/python -P -m pytest "$@"
fi
# First what computes, on every core. Then what starts real processes: these tests mostly wait, so two at a time still
# leave room for what they measure. At last, one by one, what nothing may run beside.
#
# The second and third part collect only the files that have such tests: collecting all takes longer than most tests.
marked() { # mark
  grep -rl --include='test_*.py' "mark\.$1\b" tests | sort
}
run() {
  .venv/bin/python -P -m pytest "$@"
}
mapfile -t with_processes < <(marked bench)
mapfile -t by_themselves < <(marked alone)
run -m "not bench and not alone" --numprocesses logical --dist worksteal
run -m "bench and not alone" --numprocesses 2 --dist load --maxschedchunk 1 "${with_processes[@]}"
run -m alone "${by_themselves[@]}"
