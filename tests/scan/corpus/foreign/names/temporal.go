package worker

func (w *Worker) RunWorkflow(ctx context.Context, id string) error { return w.client.ExecuteWorkflow(ctx, id) }

func main() { worker.RunWorkflow(ctx, "build") }
