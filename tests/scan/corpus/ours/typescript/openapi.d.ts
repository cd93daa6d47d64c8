export interface paths {
    "/{org_slug}/{repo_slug}/cicd/runs": {
        parameters: { query?: never; header?: never; path?: never; cookie?: never };
        /** @deprecated */
        get: operations["ListRunsDeprecated"];
        /** @deprecated */
        post: operations["RunWorkflowsDeprecated"];
    };
    "/repos/{org_slug}/{repo_slug}/cicd/runs": {
        get: operations["ListRuns"];
        post: operations["RunWorkflows"];
    };
}
