import os

import requests

response = requests.post(
    "https://api.sourcecraft.tech/acme/shop/ci_workflows/build/trigger",
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
    json={"revision": "main"},
    timeout=10,
)
response.raise_for_status()
print(response.json()["flux_public_id"])
