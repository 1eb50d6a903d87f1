<?php
require_once __DIR__ . '/config.php';

echo site_title($CFG), "\n";
