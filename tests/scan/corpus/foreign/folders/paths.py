from pathlib import Path

ROOT = Path(__file__).parent
TEMPLATES = ROOT / "templates"
RUNS = Path("/data/acme/cicd/runs")
ci_workflows = sorted(Path("ci_workflows").glob("*.yml"))
import cicd.runs.models
