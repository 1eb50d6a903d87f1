# Moodle's own housekeeping; it does nothing where PHP or the package is not there.
MAILTO=root
* * * * * www-data [ -x /usr/bin/php ] && [ -f /usr/share/@PACKAGE@/admin/cli/cron.php ] && /usr/bin/php /usr/share/@PACKAGE@/admin/cli/cron.php >/dev/null
