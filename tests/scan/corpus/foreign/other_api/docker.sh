docker run -v "$WORK/cd/logs:/cicd/logs" -v "$WORK/cd/java:/cicd/java" acme/cd
LOG_LOCATION=/opt/CICD/logs
mkdir -p /var/lib/infra_tools/cicd/logs/
