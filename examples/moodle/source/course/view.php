<?php
require_once __DIR__ . '/../config.php';

$id = filter_input(INPUT_GET, 'id', FILTER_VALIDATE_INT);
echo $id === null || $id === false ? 'No such course' : 'Course ' . $id, "\n";
