#!/bin/sh
# Makes a fresh Debian (12 or later) or Ubuntu (24.04 or later) a medloupe server behind Caddy, from this checkout:
#   sh deploy/install.sh medloupe.example.org
# as root. After `git pull` the same command upgrades. It asks nothing; docs/deploy.md explains it.
set -eu
domain=${1:?usage: sh deploy/install.sh DOMAIN}
checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
export DEBIAN_FRONTEND=noninteractive

apt-get update -q
apt-get install -y -q --no-install-recommends caddy openssl python3-venv

id medloupe >/dev/null 2>&1 ||
    useradd --system --user-group --home-dir /var/lib/medloupe --shell /usr/sbin/nologin medloupe
install -d -o medloupe -g medloupe -m 0700 /var/lib/medloupe /var/backups/medloupe

[ -x /opt/medloupe/bin/python ] || python3 -m venv /opt/medloupe
pip() { /opt/medloupe/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }
pip --constraint "$checkout/constraints.txt" "medloupe[postgres,dicom] @ file://$checkout"
pip --force-reinstall --no-deps "$checkout" # what changed without a new version number counts too
{
    echo '#!/opt/medloupe/bin/python'
    cat "$checkout/deploy/backup.py"
} >/opt/medloupe/bin/medloupe-backup
chmod 0755 /opt/medloupe/bin/medloupe-backup
install -m 0755 "$checkout/deploy/medloupe-admin" /usr/local/sbin/medloupe-admin
install -m 0644 "$checkout/deploy/medloupe.service" /etc/systemd/system/medloupe.service
[ -e /etc/medloupe.env ] || install -m 0640 -g medloupe "$checkout/deploy/medloupe.env" /etc/medloupe.env

# Behind a proxy nobody gets in without an account.
if [ -z "$(medloupe-admin users list --json)" ]; then
    (umask 077 && openssl rand -base64 18 >/root/medloupe-password)
    medloupe-admin users add admin --role admin --password-stdin </root/medloupe-password
    echo 'The password of the account "admin" is in /root/medloupe-password. Change it and remove the file.'
fi

install -d /etc/systemd/system/caddy.service.d
printf '[Service]\nEnvironment=MEDLOUPE_DOMAIN=%s\n' "$domain" >/etc/systemd/system/caddy.service.d/medloupe.conf
if ! grep -q MEDLOUPE_DOMAIN /etc/caddy/Caddyfile; then
    cp /etc/caddy/Caddyfile /etc/caddy/Caddyfile.before-medloupe
fi
install -m 0644 "$checkout/deploy/Caddyfile" /etc/caddy/Caddyfile

install -d /etc/systemd/system/medloupe.service.d
printf '[Service]\nEnvironment=MEDLOUPE_PUBLIC_URL=https://%s\n' "$domain" >/etc/systemd/system/medloupe.service.d/public.conf

systemctl daemon-reload
systemctl enable medloupe caddy
systemctl restart medloupe caddy
echo "https://$domain/"
