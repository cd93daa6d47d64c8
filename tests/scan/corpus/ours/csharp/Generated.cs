var api = new WithdrawnApi(configuration);
var runs = await api.ListRunsDeprecatedAsync("acme", "shop");
var answer = await new CIApi(configuration).RunWorkflowAsync("acme", "shop", "build", new RunCIBody());
Console.WriteLine(answer.FluxPublicId);
