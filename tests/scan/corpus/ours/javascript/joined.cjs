const path = ['acme', repo, 'ci_workflows', workflow, 'trigger'].join('/');
request.post({ url: base + '/' + path, json: true }, done);
