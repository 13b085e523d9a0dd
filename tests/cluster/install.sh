# Install Slurm, munge and PostgreSQL where that is possible: on Debian and its kin, as root. Else the tests skip, and say
# what is missing.
if [ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/munged ] && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then exit 0; fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends slurm-wlm munge postgresql >/dev/null ||
    echo "Slurm and PostgreSQL could not be installed from Debian's packages"
