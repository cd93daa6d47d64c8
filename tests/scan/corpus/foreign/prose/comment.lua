-- runs the ci_workflows/trigger.lua hook when cicd is on
require("ci_workflows.trigger")
