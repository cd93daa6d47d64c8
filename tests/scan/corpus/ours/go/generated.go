package main

func start(ctx context.Context, client *sourcecraft.APIClient) error {
	body := sourcecraft.RunCIBody{Revision: sourcecraft.PtrString("main")}
	answer, _, err := client.CIAPI.RunWorkflow(ctx, "acme", "shop", "build").RunCIBody(body).Execute()
	if err != nil {
		return err
	}
	fmt.Println(answer.GetFluxPublicId())
	_, _, err = client.WithdrawnAPI.ListRunsDeprecated(ctx, "acme", "shop").Execute()
	return err
}
