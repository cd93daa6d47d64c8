package main

import (
	"github.com/acme/tool/cicd/runs"
	"github.com/acme/tool/internal/ci_workflows"
)
