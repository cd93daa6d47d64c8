run=$1 workflow=$2 task=$3 cube=$4
curl -s "https://api.sourcecraft.tech/acme/shop/cicd/logs/$run/$workflow/$task/$cube?page=1"
curl -s "https://api.sourcecraft.tech/acme/shop/cicd/artifacts/$run/$workflow/$task/$cube" -o artifacts.json
