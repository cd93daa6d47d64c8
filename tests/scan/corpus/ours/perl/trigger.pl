use LWP::UserAgent;
my $api = 'https://api.sourcecraft.tech';
my $answer = LWP::UserAgent->new->post("$api/$org/$repo/ci_workflows/$name/trigger", Content => '{}');
my $run = decode_json($answer->content)->{flux_public_id};
my $runs = $ua->get($api . '/' . $org . '/' . $repo . '/cicd/runs');
