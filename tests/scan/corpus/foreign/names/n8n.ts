export class WorkflowRunner {
  async runWorkflow(data: IWorkflowExecutionDataProcess): Promise<string> {
    return this.activeExecutions.add(data);
  }
}
await new WorkflowRunner().runWorkflow({ executionMode: 'manual' });
