<?php
define('TRIGGER_STATUS_ENABLED', 0);
define('TRIGGER_STATUS_DISABLED', 1);
$args[] = "p_trigger_statuses=>" . $statuses;
