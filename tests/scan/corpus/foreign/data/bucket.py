s3.get_object(Bucket="builds", Key=f"{team}/{app}/cicd/runs.json")
url = "s3://acme-builds/shop/cicd/runs"
