client.run_workflow('etl', date: Date.today)
