final answer = await http.post(Uri.parse('https://api.sourcecraft.tech/$org/$repo/ci_workflows/$name/trigger'), body: '{}');
