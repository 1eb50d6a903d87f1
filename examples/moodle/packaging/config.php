<?php
// Settings of this site; kept when @PACKAGE@ is upgraded.
unset($CFG);
global $CFG;
$CFG = new stdClass();

$CFG->dbtype   = 'mysqli';
$CFG->dbhost   = '';          // an empty host: not set up yet, no database is touched
$CFG->dbname   = 'moodle';
$CFG->dbuser   = 'moodle';
$CFG->dbpass   = '';
$CFG->prefix   = 'mdl_';

$CFG->wwwroot  = 'https://moodle.lu.example';
$CFG->dataroot = '/var/lib/@PACKAGE@';
$CFG->admin    = 'admin';

require_once '/usr/share/@PACKAGE@/lib/setup.php';
