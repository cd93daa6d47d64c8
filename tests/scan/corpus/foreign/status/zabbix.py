status = requests.get("https://zabbix.example.com/api_jsonrpc.php").json()["trigger_status"]
