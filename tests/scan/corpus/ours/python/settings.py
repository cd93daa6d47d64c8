SOURCECRAFT_API = os.environ.get("SOURCECRAFT_API", "https://api.sourcecraft.tech")
SOURCECRAFT_TRIGGER = "/{org}/{repo}/ci_workflows/{workflow}/trigger"
