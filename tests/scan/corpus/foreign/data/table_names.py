GITHUB_ORG = "duckdb"
GITHUB_WORKFLOWS_TABLE = "ci_workflows"
facts["ci_workflows"] = item(flows, str(folder))
from ci_workflows.broker import BrokerConfig
from tests.repo.ci_workflows import load
