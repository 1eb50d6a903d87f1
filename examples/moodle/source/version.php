<?php
// The sample's stand-in for Moodle's own version.php; `build` looks for this file.
defined('MOODLE_INTERNAL') || define('MOODLE_INTERNAL', true);

$version  = 2013051400.00;
$release  = '2.5 (sample)';
$branch   = '25';
$maturity = 200;
