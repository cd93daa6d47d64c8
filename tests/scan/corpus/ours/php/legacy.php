<?php
$a = "$api/$org/{$this->repo}/ci_workflows/$name/trigger";
$b = $api . '/' . $org . '/' . $this->repo . '/ci_workflows/' . rawurlencode($name) . '/trigger';
$c = $api.'/'.$org.'/'.$repo.'/ci_workflows/'.rawurlencode($name).'/trigger';
