variable "api" {
  default = "https://api.sourcecraft.tech"
}

resource "null_resource" "trigger" {
  provisioner "local-exec" {
    command = "curl -X POST ${var.api}/acme/${var.repo}/ci_workflows/build/trigger -d '{}'"
  }
}
