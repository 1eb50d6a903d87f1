<?php
define('CLI_SCRIPT', true);
require_once __DIR__ . '/../../config.php';

echo 'Nothing to upgrade in ', $CFG->dbname, ': ', $release, "\n";
