client.list_runs(job_id=7)
client.runs.get_run(run_id)
mlflow.get_run("a")
