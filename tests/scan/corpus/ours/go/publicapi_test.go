package integration

func (suite *Suite) TestTrigger() {
	workflowName := "target-workflow"
	resp, err := suite.client.
		SetBody(public.RunCIBody{Revision: "main"}).
		Post(fmt.Sprintf(
			"%s/%s/ci_workflows/%s/trigger",
			suite.org.Slug,
			repo.Slug,
			workflowName,
		))
	suite.Compare(resp, "flux_id", "flux_public_id")
	resp, err = suite.client.
		SetBody(public.RunCIBody{}).
		Post(fmt.Sprintf(
			"/repos/id:%s/ci_workflows/%s/trigger",
			repo.UUID.String(),
			workflowName,
		))
}
