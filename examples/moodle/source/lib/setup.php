<?php
require_once __DIR__ . '/../version.php';

function site_title(stdClass $CFG): string
{
    return htmlspecialchars('Moodle at ' . $CFG->wwwroot);
}
