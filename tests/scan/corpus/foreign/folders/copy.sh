cp -r ci_workflows/build build
ls ./cicd/runs /var/lib/cicd/logs /srv/acme/cicd/runs
cd "$HOME/src/ci_workflows" && make
