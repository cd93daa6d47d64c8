curl -X PATCH "https://api.sourcecraft.tech/acme/shop?silent=true" -d '{"description": "The shop"}'
curl -X DELETE https://api.sourcecraft.tech/acme/old-shop
