resource "aws_s3_bucket" "cicd" {
  bucket = "acme-cicd-runs"
  tags   = { team = "cicd", module = "ci-workflows" }
}
