<?php
Http::withToken($token)->post("https://api.sourcecraft.tech/{$org}/{$repo}/ci_workflows/{$name}/trigger", []);
Http::withToken($token)->delete("https://api.sourcecraft.tech/{$org}/{$repo}");
