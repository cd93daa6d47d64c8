data "http" "trigger" {
  url    = "${var.api}/${var.org}/shop/ci_workflows/${urlencode(var.workflow)}/trigger"
  method = "POST"
}

locals {
  joined = join("/", [var.api, var.org, "shop", "ci_workflows", var.workflow, "trigger"])
  runs   = format("%s/%s/%s/cicd/runs", var.api, var.org, var.repo)
  today  = "${var.api}/repos/${var.org}/shop/cicd/runs"
}
