<?php
$base = 'https://api.sourcecraft.tech';
$workflows = "$base/acme/shop/ci_workflows";
$client->post("$workflows/build/trigger", ['json' => new stdClass()]);
$client->request('GET', $base . '/acme/shop/cicd/runs');
echo json_decode($body)->flux_public_id;
