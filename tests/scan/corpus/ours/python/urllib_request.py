from urllib.request import Request, urlopen

API = "https://api.sourcecraft.tech"
request = Request(f"{API}/acme/shop/ci_workflows/build/trigger", data=b"{}", method="POST")
with urlopen(request) as answer:
    print(answer.read())
