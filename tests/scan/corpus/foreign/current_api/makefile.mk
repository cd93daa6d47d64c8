RUNS := https://api.sourcecraft.tech/repos/acme/shop/cicd/runs
runs: ; curl $(RUNS)
