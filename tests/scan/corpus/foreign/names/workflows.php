<?php
$engine->runWorkflow($order, 'approve');
