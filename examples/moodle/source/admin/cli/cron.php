<?php
define('CLI_SCRIPT', true);
require_once __DIR__ . '/../../config.php';

echo 'Cron ran for ', $CFG->wwwroot, "\n";
